from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import pytest

from featmatch.evaluation.compositions import EDITS
from featmatch.evaluation.report import (
    STAGES,
    report_of,
    stage_times,
    suite_figures,
    text_of,
    without_nan,
    worst_misses,
)
from featmatch.evaluation.running import Answer, Evaluation, Record
from featmatch.evaluation.trials import EvaluationOptions, Plan
from featmatch.store.info import IndexInfo


def answer(score: float, right: bool | None, *, proven: bool = False, probability: float = 0.5) -> Answer:
    return Answer("x", probability, score, proven, right, {})


def record(*answers: Answer, positive: bool = True, number: int = 0, share: float = 50.0, side: int = 100) -> Record:
    sources = ("x",) if positive else ()
    steps = (("crop", share),)
    times = dict.fromkeys(STAGES, 2.0)
    return Record("crops", number, positive, "x", sources, steps, f"crop {share:g} %", side, side, "ok", answers, times)


def test_figures_by_hand() -> None:
    records = [
        record(answer(9, True, proven=True, probability=1.0), number=0),
        record(answer(5, False, probability=0.4), answer(4, True), number=1),
        record(answer(8, None, proven=True), answer(7, True, proven=True, probability=0.8), number=2, share=10.0),
        record(number=3, share=10.0),
        record(answer(6, False, proven=True, probability=0.6), positive=False),
        record(positive=False, number=1, share=10.0),
    ]
    found = suite_figures("crops", records)
    assert found["positives"] == 4
    assert found["recall_at_1"] == 0.5  # a twin before it does no harm
    assert found["recall_at_zero_false"] == 0.5  # above 6
    assert found["average_precision"] == pytest.approx((1 + 1 + 3 / 5) / 4)
    assert found["claim_precision"] == pytest.approx(2 / 3)
    assert found["claim_recall"] == 0.5
    assert (found["false_claims"], found["negatives"]) == (1, 2)
    # best answers: 1.0 right, 0.4 wrong, 0.8 right, 0.6 wrong
    assert found["calibration_error"] == pytest.approx((0.0 + 0.4 + 0.2 + 0.6) / 4)
    rows = {row["edit"]: row for row in found["rows"]}
    assert rows["crop 50 %"]["recall_at_zero_false"] == 0.5
    assert rows["crop 10 %"]["claim_recall"] == 0.5
    assert rows["crop 10 %"]["false_claims"] == 0


def test_relations_are_counted_by_what_they_truly_are() -> None:
    def told(truth: str | None, relation: str, *, proven: bool = False, related: bool = False) -> Answer:
        right = truth == "copy"
        return Answer("x", 0.9, 1.0, proven, right, {}, relation, related, truth)

    records = [
        record(
            told("copy", "crop", proven=True),
            told("same template", "same template", related=True),
            told("same template", "same scene", related=True),
            told("same template", "copy", proven=True),
            told("same template", "same template"),  # not listed
            told(None, "same template", related=True),  # not known
        ),
        record(told("copy", "same template", related=True), told("copy", "copy"), positive=False),
    ]
    found = suite_figures("crops", records)
    assert found["relations"] == {
        "copy": {"listed": 2, "claimed": 1, "named": 1},
        "same template": {"listed": 3, "claimed": 1, "named": 1},
    }
    of_index: dict[str, Any] = dict.fromkeys(("images", "features", "words", "bytes_an_image"), 1)
    of_index |= {"detector": "sift", "failed": 0, "images_per_second": None}
    report: dict[str, Any] = {"index": of_index, "suites": {"crops": found}, "all": found, "times": {}}
    line = "named right: copies 1 of 2, same template 1 of 3; 1 of these claimed as copies"
    assert line in text_of(report)
    report["suites"] = {"crops": suite_figures("crops", records[1:])}
    assert "named right" not in text_of(report)


def test_rows_of_templates_are_kinds_and_ways() -> None:
    steps = [(("form", 1.0), ("rescanned", 1.0)), (("form", 1.0), ("by telephone", 1.0))]
    records = [dataclasses.replace(record(), suite="templates", steps=one) for one in steps]
    rows = suite_figures("templates", records)["rows"]
    assert [(row["edit"], row["positives"]) for row in rows] == [("form", 2), ("rescanned", 1), ("by telephone", 1)]
    shot = dataclasses.replace(record(), suite="photographed", steps=(("glare", 1.0),))
    assert [row["edit"] for row in suite_figures("photographed", [shot])["rows"]] == ["glare"]


def test_worst_misses_come_first() -> None:
    records = [
        record(answer(9, True), number=0),
        record(answer(4, True), number=1),
        record(number=2, side=50),
        record(number=3, side=90),
        record(answer(6, False), positive=False),
    ]
    assert [miss.number for miss in worst_misses(records, "crops")] == [3, 2, 1]
    assert [miss.number for miss in worst_misses(records, "crops", count=1)] == [3]


def test_figures_of_nothing_are_left_empty() -> None:
    found = suite_figures("crops", [record(positive=False)])
    index = {"images": 1, "features": 1, "words": 1, "detector": "sift", "bytes_an_image": 1, "failed": 2, "added": 0}
    report = {"index": {**index, "images_per_second": None}, "suites": {"crops": found}, "all": found, "times": {}}
    text = text_of(report)
    assert "2 files failed" in text
    assert re.search(r"crop 50 % +0 +0 of 1", text)


def test_a_miss_is_a_right_answer_that_is_not_above_all_wrong_ones() -> None:
    wrong = record(answer(6, False), positive=False)
    scores = [record(answer(score, True), number=number) for number, score in enumerate((6, 6.1))]
    assert [one.number for one in worst_misses([wrong, *scores], "crops")] == [0]
    assert worst_misses(scores, "crops") == []
    assert worst_misses([dataclasses.replace(wrong, suite="hard"), *scores], "crops") == []
    assert [one.number for one in worst_misses([record(number=number) for number in range(25)], "crops")] == list(
        range(20)
    )


def test_a_claim_of_the_wrong_photo_counts_whatever_the_query() -> None:
    wrong = answer(9, False, proven=True)
    found = suite_figures("crops", [
        record(answer(10, True, proven=True), wrong), record(answer(3, False)), record(wrong, wrong, positive=False),
        record(answer(2, False), answer(1, None, proven=True), positive=False),
    ])  # fmt: skip
    assert found["claim_precision"] == pytest.approx(1 / 4)
    assert (found["false_claims"], found["wrong_claims_of_positives"], found["negatives"]) == (1, 1, 2)
    assert [one["answers"] for one in found["reliability"]] == [0, 0, 0, 0, 0, 4, 0, 0, 0, 0]


def test_rows_of_each_suite() -> None:
    def of(suite: str, *steps: tuple[str, float]) -> Record:
        return dataclasses.replace(record(answer(1, True)), suite=suite, steps=steps)

    def labels(suite: str, *records: Record) -> dict[str, int]:
        return {row["edit"]: row["positives"] for row in suite_figures(suite, records)["rows"]}

    random = [of("random"), of("random", ("crop", 7.0), ("blur", 1.0)), of("random", ("blur", 2.0))]
    assert labels("random", *random) == {"with crop": 1, "with blur": 2, "0 edits": 1, "1 edits": 1, "2 edits": 1}
    four = of("random", *((name, 1.0) for name in list(EDITS)[:4]))
    assert labels("random", four)["4 edits"] == 1
    single = [of("single", ("crop", 30.0)), of("single", ("crop", 5.0)), of("single", ("crop", 30.0))]
    assert labels("single", *single) == {"crop 30 %": 2, "crop 5 %": 1}
    assert labels("hard", of("hard", ("caption", 0.0)), of("hard", ("caption", 1.0))) == {"caption": 2}
    assert labels("plain", of("plain", ("sky", 1.0))) == {"sky": 1}


def test_times_are_of_queries_that_went_through_all_stages() -> None:
    def taking(*milliseconds: float) -> Record:
        return dataclasses.replace(record(), times=dict(zip(STAGES, milliseconds, strict=False)))

    records = [taking(10, 1, 1, 1, 1), taking(20, 2, 2, 2, 2), taking(90, 3, 3, 3, 3), taking(1000)]
    times = stage_times(records)
    assert list(times) == [*STAGES, "search"]
    assert times["features"] == {"median_ms": 20, "p95_ms": pytest.approx(83)}
    assert times["search"] == {"median_ms": 8, "p95_ms": pytest.approx(11.6)}
    assert stage_times([taking(1)]) == {}
    longer = dataclasses.replace(records[0], times={**records[0].times, "forms": 50.0})
    times = stage_times([*records, longer])
    assert times["forms"] == {"median_ms": 50, "p95_ms": 50}
    assert list(times) == [*STAGES, "forms", "search"]
    assert stage_times([longer])["search"]["median_ms"] == stage_times(records[:1])["search"]["median_ms"] + 50


INDEX = IndexInfo(
    images=4, features=2000, removed=0, queued=0, verdicts=0, segments=1, pictures=4, picture_bytes=40, bytes=9000,
    root=None, base=None, detector="sift", words=64, vocabulary="f",
)  # fmt: skip


def evaluation(records: list[Record], **facts: Any) -> Evaluation:
    plan = Plan(("x",), ("y",), ("z",), EvaluationOptions(("crops",), count=2))
    given: dict[str, Any] = {"index": INDEX, "vocabulary_bytes": 1000, "added": 4, "adding_s": 0.5, "failed": ["f"]}
    return Evaluation(plan, records, **(given | facts), unseen=None)


def test_the_report_holds_all_figures_and_records() -> None:
    records = [record(answer(9, True, proven=True)), record(answer(3, False, proven=True), positive=False)]
    report = report_of(evaluation(records))
    assert report["index"]["bytes_an_image"] == 2000
    assert report["index"]["images_per_second"] == 8
    assert (report["index"]["images"], report["index"]["failed"], report["options"]["count"]) == (4, 1, 2)
    assert list(report["suites"]) == ["crops"]
    assert report["all"]["claim_precision"] == 0.5
    assert report["records"] == [dataclasses.asdict(one) for one in records]
    text = text_of(report)
    assert text.splitlines()[0] == (
        "4 images, 2000 features, 64 words (sift); 2000 bytes an image without the vocabulary; "
        "added 4 at 8.0 images/s; 1 files failed"
    )
    assert "crops: 1 positives, 1 negatives" in text
    assert "µAP 1.0000, recall at rank 1 1.0000, recall at zero false claims 1.0000" in text
    assert re.search(r"crop 50 % +1 +100.0 % +100.0 % +100.0 % +1 of 1\n", text)
    assert "all: claims: precision 0.5000, recall 1.0000; false claims 1 of 1 negatives" in text
    assert re.search(r"search +8.0 +8.0$", text)


def test_nothing_added_has_no_speed() -> None:
    report = report_of(evaluation([], added=0, failed=[], index=dataclasses.replace(INDEX, images=0)))
    assert report["index"]["images_per_second"] is None
    assert report["index"]["bytes_an_image"] == 8000
    assert "added" not in text_of(report)
    assert "failed" not in text_of(report)


def test_json_has_no_nan() -> None:
    value = {"a": [1.0, math.nan, ("b", math.inf)], "c": {"d": math.nan}, "e": None, "f": "nan"}
    assert without_nan(value) == {"a": [1.0, None, ["b", math.inf]], "c": {"d": None}, "e": None, "f": "nan"}
