from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featmatch import Group, Member, Relation
from featmatch.cli.results import print_explanation, print_groups_csv, print_groups_json, print_groups_table
from featmatch.features.symmetry import Variant
from featmatch.search.explanation import Explanation, Seen, SharedWords, Verified, Votes
from tests.cli.conftest import Run

MATCH_KEYS = {
    "id", "name", "probability", "score", "inliers", "agreement", "relation", "homography",
    "query_region", "reference_region", "query_overlap", "reference_overlap", "verdict",
    "damaged",
}  # fmt: skip
RELATION_KEYS = {"kind", "rotation_deg", "scale", "mirrored", "negative"}
NOTHING = np.empty((2, 0, 2))


def test_query_prints_a_table_and_says_what_was_found(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    ended = run("query", index, pictures["crop"], pictures["stranger"], pictures["blank"])
    assert ended.status == 0
    assert str(pictures["chelsea"]) in ended.out
    assert f"{pictures['stranger']}: nothing found" in ended.out
    assert f"{pictures['blank']}: too_little_detail" in ended.out
    assert ended.err == ""


def test_query_json_is_one_object_a_line_as_promised(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    names = ("crop", "missing", "text", "blank", "stranger")
    ended = run("query", index, *(pictures[name] for name in names), "--json")
    lines = ended.lines()
    assert [line["query"] for line in lines] == [str(pictures[name]) for name in names]
    assert [line["status"] for line in lines] == ["ok", "not_found", "decode_failed", "too_little_detail", "ok"]
    assert all(set(line) == {"query", "status", "damaged", "matches"} for line in lines)
    assert [len(line["matches"]) for line in lines] == [1, 0, 0, 0, 0]
    match = lines[0]["matches"][0]
    assert set(match) == MATCH_KEYS
    assert set(match["relation"]) == RELATION_KEYS
    assert match["name"] == str(pictures["chelsea"])
    assert match["probability"] > 0.5
    assert match["relation"]["kind"] == "crop"
    assert abs(match["relation"]["rotation_deg"] - 90) < 2
    np.testing.assert_allclose(np.array(match["homography"]) @ [0, 199, 1], [40, 20, 1], atol=3)
    assert len(ended.err.splitlines()) == 2


def test_query_csv_parses_back(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    names = ("crop", "missing", "stranger")
    images = [pictures[name] for name in names]
    rows = list(csv.DictReader(io.StringIO(run("query", index, *images, "--csv").out)))
    lines = run("query", index, *images, "--json").lines()
    assert [row["query"] for row in rows] == [str(path) for path in images]
    assert [row["status"] for row in rows] == ["ok", "not_found", "ok"]
    match = lines[0]["matches"][0]
    assert set(rows[0]) == {"query", "status", "query_damaged"} | (MATCH_KEYS - {"relation"}) | RELATION_KEYS
    assert rows[0]["name"] == match["name"]
    assert float(rows[0]["score"]) == match["score"]
    assert float(rows[0]["rotation_deg"]) == match["relation"]["rotation_deg"]
    assert json.loads(rows[0]["homography"]) == match["homography"]
    assert json.loads(rows[0]["query_region"]) == match["query_region"]
    assert rows[1]["name"] == rows[2]["name"] == ""


def test_verify_answers_in_words_and_exit_status(run: Run, pictures: dict[str, Path]) -> None:
    yes = run("verify", pictures["crop"], pictures["chelsea"])
    assert (yes.status, yes.err) == (0, "")
    assert yes.out.startswith("yes")
    no = run("verify", pictures["crop"], pictures["stranger"])
    assert (no.status, no.err) == (1, "")
    assert no.out.startswith("no")
    assert len(no.out.splitlines()) == 1
    blank = run("verify", pictures["crop"], pictures["blank"])
    assert blank.status == 1
    assert "detail" in blank.out


def test_verify_json_is_a_match_with_verified_and_reason(run: Run, pictures: dict[str, Path]) -> None:
    for name, verified in (("chelsea", True), ("stranger", False), ("blank", False)):
        (found,) = run("verify", pictures["crop"], pictures[name], "--json").lines()
        assert set(found) == MATCH_KEYS | {"verified", "reason", "query_damaged"}
        assert found["verified"] is verified
        assert found["reason"]
    (found,) = run("verify", pictures["crop"], pictures["chelsea"], "--json").lines()
    assert set(found["relation"]) == RELATION_KEYS
    assert found["relation"]["kind"] == "crop"


def test_damaged_files_are_told(run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    Image.open(pictures["astronaut"]).convert("RGB").save(whole)
    cut.write_bytes(whole.read_bytes()[:-2])
    added = run("add", own_index, cut)
    assert added.status == 0
    assert f"featmatch: {cut}: damaged: " in added.err
    assert added.err.count("damaged: ") == 1
    assert f"{cut} (damaged)  (copy" in run("query", own_index, whole).out
    assert run("query", own_index, cut).out.startswith(f"{cut} (damaged):")
    (line,) = run("query", own_index, cut, "--json").lines()
    assert (line["damaged"], line["matches"][0]["damaged"]) == (True, True)
    (line,) = run("query", own_index, whole, "--json").lines()
    assert (line["damaged"], line["matches"][0]["damaged"]) == (False, True)
    (row,) = csv.DictReader(io.StringIO(run("query", own_index, whole, "--csv").out))
    assert (row["query_damaged"], row["damaged"]) == ("False", "True")
    assert f"yes: {cut} (damaged) / {whole}: " in run("verify", cut, whole).out


def test_a_line_of_the_table_has_the_numbers_of_the_json(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    heading, columns, line = run("query", index, pictures["crop"]).out.splitlines()
    assert heading == f"{pictures['crop']}:"
    assert columns == "  probability  inliers  of query  of image  name  (relation)"
    (match,) = run("query", index, pictures["crop"], "--json").lines()[0]["matches"]
    assert line == (
        f"  {match['probability']:11.4f}  {match['inliers']:7}  {match['query_overlap']:8.0%}  "
        f"{match['reference_overlap']:8.0%}  {pictures['chelsea']}  (crop of, rotated 90°)"
    )


def test_a_verdict_stands_behind_the_relation(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    query = "query", own_index, pictures["crop"]
    for command, status in (("accept", 0), ("reject", 1)):
        run(command, own_index, pictures["crop"], pictures["chelsea"])
        said = run(*query, "--all")
        assert said.status == status
        assert said.out.endswith(f", rotated 90°; {command}ed)\n")


ORIGINAL = Member(7, ("a.jpg", "again.jpg", "./a.jpg"), 640, 480, 12345, None, 1.0, None, 0, same_file=("./a.jpg",))
CROP = Member(
    8, ("two\nlines.jpg",), 32, 24, 99, Relation("crop", 17.25, 0.5, False, False), 0.98765,
    np.array([[1.0, 0, 5], [0, 1, 6], [0, 0, 1]]), 143,
)  # fmt: skip
GROUP = Group((ORIGINAL, CROP), ("again.jpg",), {}, "shows the most")


def test_groups_are_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_groups_table([GROUP, Group((ORIGINAL,))])
    assert capsys.readouterr().out == (
        "group 1, 3 files:\n"
        "  probability  inliers         size       bytes  name  (relation)\n"
        "       1.0000        0      640x480       12345  a.jpg  (original, by: shows the most)\n"
        "       1.0000        0      640x480       12345  again.jpg  (identical bytes)\n"
        "       1.0000        0      640x480       12345  ./a.jpg  (same file)\n"
        '       0.9877      143        32x24          99  "two\\012lines.jpg"  (crop of, rotated 17°, scaled 0.5)\n'
        "group 2, 2 files:\n"
        "  probability  inliers         size       bytes  name  (relation)\n"
        "       1.0000        0      640x480       12345  a.jpg  (original)\n"
        "       1.0000        0      640x480       12345  again.jpg  (identical bytes)\n"
        "       1.0000        0      640x480       12345  ./a.jpg  (same file)\n"
    )


def test_groups_are_rows_of_csv(capsys: pytest.CaptureFixture[str]) -> None:
    print_groups_csv([GROUP, Group((CROP,))])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["group"], row["name"], row["marked"], row["description"]) for row in rows] == [
        ("1", "a.jpg", "false", "original"), ("1", "again.jpg", "true", "identical bytes"),
        ("1", "./a.jpg", "false", "same file"),
        ("1", r'"two\012lines.jpg"', "false", "crop of, rotated 17°, scaled 0.5"),
        ("2", r'"two\012lines.jpg"', "false", "crop of, rotated 17°, scaled 0.5"),
    ]  # fmt: skip
    assert [row["original"] for row in rows] == ["a.jpg"] * 4 + [r'"two\012lines.jpg"']
    assert [row["original_by"] for row in rows] == ["shows the most"] * 4 + [""]
    assert (rows[0]["kind"], rows[0]["homography"], rows[0]["inliers"]) == ("", "", "0")
    assert rows[3] == {
        "group": "1", "original": "a.jpg", "id": "8", "name": r'"two\012lines.jpg"', "width": "32", "height": "24",
        "bytes": "99", "description": "crop of, rotated 17°, scaled 0.5", "probability": "0.98765", "inliers": "143",
        "kind": "crop", "rotation_deg": "17.25", "scale": "0.5", "mirrored": "False", "negative": "False",
        "homography": "[[1.0, 0.0, 5.0], [0.0, 1.0, 6.0], [0.0, 0.0, 1.0]]", "original_by": "shows the most",
        "marked": "false",
    }  # fmt: skip


def test_groups_are_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_groups_json([GROUP, GROUP])
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["group"], second["group"]) == (1, 2)
    assert first["members"] == GROUP.to_dict()["members"]


def explanation(**stages: Any) -> Explanation:
    return Explanation("a.jpg", "lost at the votes", "votes", Seen(640, 480, 0), files=("q.jpg", None), **stages)


def explained(capsys: pytest.CaptureFixture[str], found: Explanation) -> list[str]:
    print_explanation("q.jpg", found)
    return capsys.readouterr().out.splitlines()


def test_an_explanation_has_a_line_for_each_stage_that_was_reached(capsys: pytest.CaptureFixture[str]) -> None:
    query = "  query        640 x 480 px, 0 features"
    end = ["lost at the votes", "would let it pass: no option"]
    assert explained(capsys, explanation()) == ["q.jpg / a.jpg:", query, *end]
    votes = Votes(Variant.MIRRORED, 12, 3.5, None, 10_000, 50)
    found = explanation(
        image=Seen(32, 24, 7), words=SharedWords(20, 3), votes=votes, agreement=Verified(0, None, None, NOTHING),
        options=("featmatch query --all", "more features"),
    )  # fmt: skip
    assert explained(capsys, found) == [
        "q.jpg / a.jpg:", query, "  image        32 x 24 px, 7 features", "  words        3 in common of 20 looked up",
        "  hits         12, with the query mirrored",
        "  rank         not among the best 10000 by votes; the best 50 go on", "lost at the votes",
        "would let it pass: featmatch query --all, or more features",
    ]  # fmt: skip
    found = explanation(votes=replace(votes, rank=51, ranked=60), agreement=Verified(9, None, None, NOTHING))
    assert explained(capsys, found) == [
        "q.jpg / a.jpg:", query, "  hits         12, with the query mirrored",
        "  rank         51 of 60 by votes; the best 50 go on", "  matches      9, of which 0 agree", *end,
    ]  # fmt: skip


def test_a_proven_explanation_ends_with_its_probability(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    asked = "explain", index, pictures["crop"], pictures["chelsea"]
    lines = run(*asked).out.splitlines()
    (found,) = run(*asked, "--json").lines()
    match = found["match"]
    assert f"  matches      {found['matches']}, of which {match['inliers']} agree" in lines
    assert lines[-2] == (
        f"  probability  {match['probability']:.4f} (crop of, rotated 90°; pixels agree to {match['agreement']:.2f})"
    )
    assert lines[-1] == found["verdict"]
