"""Measuring on folders with truth, which the test makes: photos, edited copies, and pictures that are not there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tools import bench_real
from tools.bench_real import Answer, Question, Record


def answer(name: str, *, right: bool, claimed: bool, probability: float) -> Answer:
    return Answer(name, right, claimed, probability, probability, {})


def record(*answers: Answer, there: bool = True, verified: dict[str, tuple[bool, bool, bool]] | None = None) -> Record:
    return Record(Question("query.png", ("right.png",) if there else (), "fit"), answers, verified or {})


def test_what_is_first_and_what_is_claimed_are_counted_apart() -> None:
    found = bench_real.figures(
        [
            record(answer("right.png", right=True, claimed=True, probability=0.9)),
            record(
                answer("a.png", right=False, claimed=True, probability=0.95),
                answer("right.png", right=True, claimed=True, probability=0.85),
                answer("b.png", right=False, claimed=True, probability=0.8),
            ),
            record(answer("right.png", right=True, claimed=False, probability=0.5)),
            record(),
            record(answer("a.png", right=False, claimed=True, probability=0.99), there=False),
        ]
    )
    assert (found["queries"], found["there"]) == (5, 4)
    assert (found["first"], found["claimed"]) == (0.5, 0.5)
    assert (found["false_claims"], found["queries_with_false_claims"]) == (3, 2)
    # Sorted by score: wrong, wrong, right (1 of 3), right (2 of 4), wrong, right (3 of 6); one is missing.
    assert found["average_precision"] == pytest.approx((1 / 3 + 2 / 4 + 3 / 6) / 4)
    # Of each query the two best: 0.99, 0.95 wrong; 0.9, 0.85, 0.5 right.
    assert found["calibration_error"] == pytest.approx((abs(0.9 + 0.95 + 0.99 - 1) + 0.15 + 0.5) / 5, abs=0.01)


def test_all_three_ways_must_say_the_same() -> None:
    said = {"a": (True, True, True), "b": (False, False, False), "c": (True, True, False), "d": (False, True, True)}
    found = bench_real.figures([record(verified=said)])
    assert (found["verify_agrees"], found["compared_by_verify"]) == (0.5, 4)


def test_things_are_in_one_half_whatever_is_asked_beside() -> None:
    halves = [bench_real.half_of(f"thing{number}") for number in range(1000)]
    assert halves == [bench_real.half_of(f"thing{number}") for number in range(1000)]
    assert 400 < halves.count("fit") < 600
    assert set(halves) == set(bench_real.HALVES)


@pytest.fixture(scope="module")
def folder(photos: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two queries, one of them with a look-alike; four files in two groups; two cases of one set."""
    target = tmp_path_factory.mktemp("real")

    def put(name: str, picture: NDArray[np.uint8]) -> None:
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(file)

    coffee, rocket = photos["coffee"], photos["rocket"]
    for name, picture in (("a b", coffee), ("rocket", rocket), ("chelsea", photos["chelsea"])):
        put(f"covers/reference/{name}.png", picture)
    put("covers/photo/a.png", coffee[20:380, 30:570])
    put("covers/photo/b.png", rocket[::-1, ::-1])
    (target / "queries.tsv").write_text(
        "set\tquery\tright\tlook_alike\n"
        "covers\tcovers/photo/a.png\tcovers/reference/a b.png\t"
        "covers/reference/rocket.png|covers/reference/chelsea.png\n"
        "covers\tcovers/photo/b.png\tcovers/reference/rocket.png\t\n"
    )
    rows = []
    for name, picture in (("coffee", coffee), ("rocket", rocket)):
        for turn in range(2):
            put(f"turned/{name}{turn}.png", np.rot90(picture, turn))
            put(f"cases/photos/{name}__{turn}.png", np.rot90(picture, turn))
            rows.append(f"turned\tturned/{name}{turn}.png\t{name}\n")
    (target / "groups.tsv").write_text("set\tfile\tgroup\n" + "".join(rows))
    return target


@pytest.fixture
def run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[dict[str, Any], str]]:
    """Call the tool with more arguments; returns what it wrote and what it printed."""

    def call(*more: str) -> tuple[dict[str, Any], str]:
        report = tmp_path / "report.json"
        monkeypatch.setattr(sys, "argv", ["bench_real", str(folder), "--json", str(report), *more])
        bench_real.main()
        return json.loads(report.read_text()), capsys.readouterr().out

    return call


def test_covers_are_found_and_turned_pictures_grouped(run: Callable[..., tuple[dict[str, Any], str]]) -> None:
    report, printed = run("--verify")
    covers = report["queries"]["covers"]
    assert (covers["queries"], covers["first"], covers["claimed"], covers["false_claims"]) == (2, 1, 1, 0)
    assert covers["average_precision"] == 1
    assert covers["verify_agrees"] == 1
    assert sum(half["queries"] for half in covers["halves"].values()) == 2
    first = covers["records"][0]["answers"][0]
    assert first["name"].endswith("a b.png")
    assert first["evidence"]["geometry"] > 8
    turned = report["groups"]["turned"]
    assert (turned["files"], turned["pairs"], turned["found"], turned["wrong"]) == (4, 2, 2, [])
    assert (turned["precision"], turned["recall"], turned["proven_by_query"]) == (1, 1, 1)
    assert "| covers | both | 2 | 2 | 100.0 % | 100.0 % | 0 | 0 | 1.0000 |" in printed
    assert "| turned | 4 | 2 | 100.0 % | 100.0 % | 100.0 % | 100.0 % |" in printed


def test_a_case_is_asked_for_its_other_variants(
    folder: Path, run: Callable[..., tuple[dict[str, Any], str]], tmp_path: Path
) -> None:
    workspace = str(tmp_path / "work")
    report, _ = run("--cases", str(folder / "cases"), "--set", "cases/photos", "--workspace", workspace)
    assert (list(report["queries"]), report["groups"]) == (["cases/photos"], {})
    cases = report["queries"]["cases/photos"]
    assert (cases["queries"], cases["there"], cases["claimed"], cases["false_claims"]) == (4, 4, 1, 0)
    for one in cases["records"]:
        assert one["question"]["query"] not in [answer["name"] for answer in one["answers"]]
    half = bench_real.half_of("coffee")
    chosen, _ = run("--cases", str(folder / "cases"), "--set", "cases/photos", "--workspace", workspace, "--half", half)
    expected = 4 if half == bench_real.half_of("rocket") else 2
    assert chosen["queries"]["cases/photos"]["queries"] == expected
