from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featmatch import ImageError, Index, VotingOptions, check, extract
from featmatch.features.symmetry import Variant
from featmatch.images.pixels import load_display
from featmatch.proof.drawing import _DROPPED, _KEPT, draw_proof
from featmatch.search.explanation import Explanation
from tests.plain_pictures import blobs


def half(picture: Path) -> np.ndarray:
    return np.asarray(Image.open(picture))[:, :70]


def opened(folder: Path) -> Index:
    return Index.open(folder / "index", root=folder / "photos")


def both(folder: Path) -> np.ndarray:
    """All of the first picture, and a part of the second below it."""
    pixels = [np.asarray(Image.open(folder / "photos" / name)) for name in ("000.png", "001.png")]
    return np.vstack([pixels[0], pixels[1][:70]])


def test_a_proven_pair_has_every_stage_as_the_query_has_it(built: Path) -> None:
    (answer,) = opened(built).query(built / "half.png")
    for name in ("000.png", built / "photos" / "000.png"):
        told = opened(built).explain(built / "half.png", name)
        assert (told.proven, told.lost, told.name, told.options) == (True, None, "000.png", ())
        assert told.words is not None
        assert 0 < told.words.common <= told.words.looked_up
        assert told.votes is not None
        assert (told.votes.rank, told.votes.variant) == (1, Variant.PLAIN)
        assert told.agreement is not None
        assert told.agreement.match is not None
        assert told.agreement.match.to_dict() == answer.to_dict()
        assert told.agreement.place == 1
        assert answer.inliers <= told.agreement.matches <= told.votes.hits
        assert told.agreement.matches == told.agreement.inliers + told.agreement.dropped.shape[1]
        assert told.verdict.startswith("proven: crop of")
    record = next(opened(built).images())
    assert told.image is not None
    assert (told.image.width, told.image.height, told.image.features) == (96, 128, record.features)
    assert (told.query.width, told.query.height) == (70, 128)


def test_what_is_not_proven_has_the_probability_of_the_query(built: Path) -> None:
    index, loose = opened(built), VotingOptions(words=8, hamming_limit=30, voting_limit=30)
    found = {match.name: match for match in index.query(built / "half.png", unproven=True, voting=loose)}
    lost = {}
    for record in index.images():
        told = index.explain(built / "half.png", record.name, voting=loose)
        assert told.agreement is not None
        match = told.agreement.match
        assert (match and match.to_dict()) == (found[record.name].to_dict() if record.name in found else None)
        lost[told.lost] = told
    assert set(lost) <= {None, "probability", "geometry"}
    assert lost["probability"].options[0] == "featmatch query --all"
    assert "below 0.8" in lost["probability"].verdict


def test_a_pair_below_the_shortlist_is_verified_alone_and_gets_in_with_a_longer_one(built: Path) -> None:
    index, query = opened(built), both(built)
    assert {match.name for match in index.query(query)} == {"000.png", "001.png"}
    told = index.explain(query, "001.png", voting=VotingOptions(shortlist=1))
    assert told.lost == "shortlist"
    assert told.votes is not None
    assert (told.votes.rank, told.votes.shortlist) == (2, 1)
    assert told.agreement is not None
    assert told.agreement.match is not None
    assert told.agreement.match.proven
    assert told.agreement.place is None
    assert "rank 2 by votes" in told.verdict
    assert "VotingOptions(shortlist=20)" in told.options
    within = index.explain(query, "001.png", voting=VotingOptions(shortlist=20))
    assert within.agreement is not None
    assert within.proven
    assert within.agreement.place in (1, 2)  # both photos of the collage are sure


def test_without_hits_the_words_in_common_are_told(built: Path) -> None:
    strict = VotingOptions(words=1, hamming_limit=0)
    corner = half(built / "photos" / "000.png")[:40]
    for name, options in {"000.png": ("VotingOptions(hamming_limit=26, voting_limit=26)",), "003.png": ()}.items():
        told = opened(built).explain(corner, name, voting=strict)
        assert (told.lost, told.votes, told.agreement) == ("votes", None, None)
        assert told.words is not None
        assert f"{told.words.common} words in common" in told.verdict
        assert told.options == options
    assert opened(built).explain(corner, "000.png").proven


def test_a_mirrored_query_is_explained_in_its_own_variant(built: Path) -> None:
    mirrored = np.ascontiguousarray(half(built / "photos" / "000.png")[:, ::-1])
    loose = VotingOptions(words=8, hamming_limit=30, voting_limit=30)  # so that some matches do not agree
    told = opened(built).explain(mirrored, "000.png", voting=loose)
    assert told.proven
    assert told.votes is not None
    assert told.votes.variant == Variant.MIRRORED
    assert told.agreement is not None
    assert told.agreement.match is not None
    kept, dropped = told.agreement.match.proof, told.agreement.dropped
    assert not (dropped[0][:, None] == kept.query_points[None]).all(axis=2).any()
    assert (dropped[0] >= -1).all()
    assert (dropped[0] <= [70, 128]).all()
    query = extract(mirrored, opened(built).options).keypoints  # of the picture as it is, not mirrored back
    assert dropped.shape[1] > 0
    assert np.abs(dropped[0][:, None] - query[None]).max(axis=2).min(axis=1).max() < 1e-3


def test_what_ends_before_the_votes(folder: Path) -> None:
    index = opened(folder)
    blank = np.full((60, 60), 90, np.uint8)
    detail = index.explain(blank, "000.png")
    assert (detail.lost, detail.query.features, detail.words) == ("detail", 0, None)
    Image.fromarray(blank).save(folder / "photos" / "blank.png")
    for name, why in {"blank.png": "too little detail to be added", "none.png": "not_found"}.items():
        told = index.explain(folder / "half.png", name)
        assert (told.lost, told.image, told.options) == ("index", None, ())
        assert why in told.verdict
    index.remove(["000.png"])
    gone = index.explain(folder / "half.png", "000.png")
    assert (gone.lost, gone.options) == ("index", ("featmatch add",))
    assert "removed" in gone.verdict
    with pytest.raises(ImageError):
        index.explain(folder / "none.png", "000.png")


def test_what_waits_to_be_added_again_is_said_to(folder: Path) -> None:
    column = next((folder / "index" / "segments").rglob("x.npy"))
    column.write_bytes(column.read_bytes()[:-1] + b"?")
    check(folder / "index", repair=True)
    told = opened(folder).explain(folder / "half.png", "000.png")
    assert (told.lost, told.image, told.options) == ("index", None, ("featmatch add",))
    assert "waits to be added again" in told.verdict


def test_pictures_without_detail_are_explained_as_a_whole(folder: Path) -> None:
    index = opened(folder)
    for seed in (1, 2):
        Image.fromarray(blobs(seed)).save(folder / "photos" / f"blobs{seed}.png")
    index.add([folder / "photos"], jobs=1)
    query = blobs(1)[::2, ::2]
    told = index.explain(query, "blobs1.png")
    assert told.proven
    assert told.agreement is not None
    assert told.agreement.match is not None
    assert told.agreement.match.to_dict() == index.query(query)[0].to_dict()
    assert "alike as a whole" in told.verdict
    json.dumps(told.to_dict(), allow_nan=False)
    other = index.explain(query, "blobs2.png")
    assert (other.lost, other.agreement) == ("words", None)
    assert "not alike as a whole" in other.verdict
    Image.fromarray(query).save(folder / "small.png")
    index.reject(folder / "small.png", "blobs1.png")
    assert index.explain(folder / "small.png", "blobs1.png").lost == "verdict"


def test_verdicts_go_before_the_evidence(folder: Path) -> None:
    index, query = opened(folder), folder / "half.png"
    index.reject(query, "000.png")
    told = index.explain(query, "000.png")
    assert told.lost == "verdict"
    assert told.agreement is not None
    assert told.agreement.match is not None
    assert told.agreement.match.probability == index.query(query, unproven=True)[0].probability
    assert "featmatch reject --clear" in told.options
    index.accept(query, "000.png")
    assert index.explain(query, "000.png").verdict.startswith("accepted by a verdict")


def test_it_is_drawn_with_what_was_kept_and_what_was_dropped(built: Path) -> None:
    def has(told: Explanation, colour: tuple[int, int, int]) -> bool:
        return bool((told.draw() == colour).all(axis=2).any())

    index = opened(built)
    told = index.explain(built / "half.png", "000.png")
    assert has(told, _KEPT)
    wrong = index.explain(built / "half.png", "003.png", voting=VotingOptions(hamming_limit=30))
    assert wrong.agreement is not None
    assert wrong.agreement.dropped.shape[1] > 0
    assert has(wrong, _DROPPED)
    blank = index.explain(np.full((60, 60), 90, np.uint8), "000.png")
    assert (blank.draw() == draw_proof(*blank.files, None)).all()


def test_on_the_command_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from featmatch.cli import cli

    def run(*arguments: str | Path) -> int:
        return int(cli(["explain", *map(str, arguments)], standalone_mode=False))

    index, half, root = folder / "index", folder / "half.png", ("--root", folder / "photos")
    assert run(index, half, "000.png", *root, "--draw", tmp_path / "drawn.png") == 0
    out = capsys.readouterr().out
    assert "proven: crop of" in out
    assert "rank         1 of " in out
    assert load_display(tmp_path / "drawn.png").shape[0] == 720
    assert run(index, half, "none.png", *root) == 1
    assert "would let it pass: no option" in capsys.readouterr().out
    for name, status in {"000.png": 0, "003.png": 1, "none.png": 1}.items():
        assert run(index, half, name, *root, "--json") == status
        (line,) = capsys.readouterr().out.splitlines()
        told = json.loads(line)
        assert (told["query"], told["name"], told["proven"]) == (str(half), name, status == 0)
    with pytest.raises(SystemExit) as ended:
        cli(["explain", str(index), str(folder / "none.png"), "000.png"])
    assert ended.value.code == 2
