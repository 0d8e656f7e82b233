from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featmatch import Group, Groups, Match, Matches, Member, Relation, Verification
from featmatch.cli.results import (
    MatchesCsv,
    print_explanation,
    print_groups_csv,
    print_groups_json,
    print_groups_table,
    print_matches_json,
    print_matches_table,
    print_moves,
    print_verification,
)
from featmatch.features.symmetry import Variant
from featmatch.search.explanation import Explanation, Seen, SharedWords, Verified, Votes
from tests.geometry.known_maps import shift
from tests.proof.proofs import made_proof

NOTHING = np.empty((2, 0, 2))
PROOF = made_proof(shift(40, 20), (200, 160), (320, 213))  # a crop of 47 %, with 20 inliers
PROVEN = f"{PROOF.probability:.4f}"
BOTH = Matches([Match(1, "a.jpg", PROOF), Match(2, "two\nlines.jpg", PROOF, "rejected", damaged=True)], damaged=True)


def test_matches_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_matches_table("q.jpg", BOTH)
    assert capsys.readouterr().out == (
        "q.jpg (damaged):\n"
        "  probability  inliers  of query  of image  name  (relation)\n"
        f"       {PROVEN}       20      100%       47%  a.jpg  (crop of)\n"
        f'       {PROVEN}       20      100%       47%  "two\\012lines.jpg" (damaged)  (crop of; rejected)\n'
    )


def test_no_matches_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_matches_table("two\nlines.jpg", Matches())
    print_matches_table("q.jpg", Matches(status="too_little_detail", damaged=True))
    said = '"two\\012lines.jpg": nothing found\nq.jpg (damaged): too_little_detail\n'
    assert capsys.readouterr().out == said


def test_matches_are_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_matches_json("q.jpg", BOTH)
    print_matches_json("no.jpg", Matches(status="not_found"))
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {
        "query": "q.jpg", "status": "ok", "damaged": True, "matches": [match.to_dict() for match in BOTH],
        "related": [],
    }  # fmt: skip
    assert second == {"query": "no.jpg", "status": "not_found", "damaged": False, "matches": [], "related": []}


def test_matches_are_rows_of_csv(capsys: pytest.CaptureFixture[str]) -> None:
    print_matches = MatchesCsv()
    print_matches("q.jpg", BOTH)
    print_matches("no.jpg", Matches(status="not_found"))
    first, second, third = csv.DictReader(io.StringIO(capsys.readouterr().out))
    told = BOTH[0].to_dict()
    relation = told.pop("relation")
    del told["width"], told["height"]
    del told["differences"], told["differing_share"]  # no regions in a table
    shown = {name: json.dumps(value) if isinstance(value, list) else str(value) for name, value in told.items()}
    assert first == {
        "query": "q.jpg", "status": "ok", "query_damaged": "True", **shown, "agreement": "", "verdict": "",
        **{name: str(value) for name, value in relation.items()},
    }  # fmt: skip
    assert (second["name"], second["verdict"], second["damaged"]) == (r'"two\012lines.jpg"', "rejected", "True")
    filled = {name: value for name, value in third.items() if value}
    assert filled == {"query": "no.jpg", "status": "not_found", "query_damaged": "False"}


def test_a_verification_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    yes = Verification(True, "20 features agree", PROOF, ("a", "b"), (False, True))
    print_verification("a.jpg", "two\nlines.jpg", yes)
    print_verification("a.jpg", "b.jpg", Verification(False, "too little detail", None, ("a", "b")))
    assert capsys.readouterr().out == (
        f'yes: a.jpg / "two\\012lines.jpg" (damaged): 20 features agree (probability {PROVEN})\n'
        "no: a.jpg / b.jpg: too little detail (probability 0.0000)\n"
    )


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
    print_groups_csv(Groups([GROUP, Group((CROP,))]))
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


@pytest.mark.parametrize(("agreement", "said"), [(None, "pixels not compared"), (0.456, "pixels agree to 0.46")])
def test_an_explanation_has_the_probability_and_the_pixels(
    capsys: pytest.CaptureFixture[str], agreement: float | None, said: str
) -> None:
    proof = replace(PROOF, evidence=replace(PROOF.evidence, agreement=agreement))
    found = explanation(agreement=Verified(31, Match(1, "a.jpg", proof), 1, NOTHING))
    lines = explained(capsys, replace(found, lost=None, verdict="proven: crop of"))
    assert lines[2:] == [
        "  matches      31, of which 20 agree", f"  probability  {proof.probability:.4f} (crop of; {said})",
        "proven: crop of",
    ]  # fmt: skip


def test_the_script_moves_files_of_any_name_and_overwrites_none(
    capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    names = ["plain.png", "two\nlines.png", 'it\'s $(touch owned) "`x`".png', "-n.png", "日本.png", "sub dir/a.png"]
    names += [os.fsdecode(b"caf\xe9.png")] if sys.platform == "linux" else []
    photos, moved = tmp_path / "photos", tmp_path / "aside here" / str(tmp_path).lstrip("/") / "photos"
    for name in names:
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_bytes(os.fsencode(name))
    moved.mkdir(parents=True)
    (moved / "plain.png").write_text("here before")
    print_moves(str(photos / name) for name in names)
    script = tmp_path / "move.sh"
    script.write_bytes(capsysbinary.readouterr().out)
    subprocess.run(["sh", script, tmp_path / "aside here"], check=True, cwd=tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["aside here", "move.sh", "photos"]
    assert sorted(os.listdir(photos)) == ["plain.png", "sub dir"]
    assert os.listdir(photos / "sub dir") == []
    assert (moved / "plain.png").read_text() == "here before"
    assert all((moved / name).read_bytes() == os.fsencode(name) for name in names[1:])
