from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featmatch import Index, Vocabulary
from featmatch.geometry.maps import Matrix
from featmatch.grouping import asking, finding, pairs
from featmatch.grouping.asking import asked
from featmatch.grouping.groups import Group
from featmatch.grouping.pairs import Pair
from featmatch.grouping.placing import ImageSize
from featmatch.proof.probability import ToldEvidence
from featmatch.proof.proof import Proof
from featmatch.proof.relation import Relation
from featmatch.search.matches import Match, Matches, Verdict
from featmatch.store.reader import Reader
from tests.grouping.made import scaled

IMAGES = {number: ImageSize(400, 300, content) for number, content in ((1, "b"), (2, "a"), (3, "c"))}


def match(image: int, homography: Matrix, *, score: float = 5.0, verdict: Verdict | None = None) -> Match:
    """That a picture is found in an image: 30 % of it, and it covers 60 % of that."""
    nowhere, likely = np.empty((0, 2)), float(1 / (1 + np.exp(-score)))
    relation = Relation("overlap", 0.0, 1.0, mirrored=True, negative=image == 3)
    proof = Proof(
        ToldEvidence(score, likely, None), 7, relation, homography, nowhere, nowhere, 0.3, 0.6, (400, 300),
        nowhere, nowhere,
    )  # fmt: skip
    return Match(image, f"{image}.png", proof, verdict)


def pairs_for(monkeypatch: pytest.MonkeyPatch, answers: dict[int, list[Match]]) -> dict[tuple[int, int], Pair]:
    """The pairs where each image is found to match these."""

    def look_up(reader: Reader, files: Sequence[str], options: Any, *, jobs: int) -> Iterator[Matches]:
        assert jobs == 3
        yield from (Matches(answers[int(file)]) for file in files)

    monkeypatch.setattr(asking, "look_up_each", look_up)
    nothing = SimpleNamespace(recall=dict, keep=lambda *found: None, save=lambda: None)
    monkeypatch.setattr(asking, "LookedUp", lambda *given: nothing)
    reader: Any = None  # passed on only
    return asked(reader, {image: str(image) for image in answers}, IMAGES, jobs=3)


def test_a_match_makes_a_pair_whose_query_is_the_later_content(monkeypatch: pytest.MonkeyPatch) -> None:
    found = pairs_for(monkeypatch, {1: [match(2, scaled(2, 5)), match(3, scaled(4))]})
    assert list(found) == [(1, 2), (1, 3)]
    first, second = found.values()
    assert (first.query, first.reference, second.query, second.reference) == (1, 2, 3, 1)
    np.testing.assert_array_equal(first.homography, scaled(2, 5))
    np.testing.assert_allclose(second.homography, scaled(0.25))
    assert (first.in_reference.covered, first.in_query.covered) == (0.3, 0.6)
    assert (second.in_reference.covered, second.in_query.covered) == (0.6, 0.3)
    assert (first.mirrored, first.negative, second.mirrored, second.negative) == (True, False, True, True)
    assert (first.inliers, first.alike) == (7, 5.0)
    assert first.probability("sift") == pytest.approx(0.9933, abs=1e-4)


def test_only_sure_matches_with_others_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pairs_for(monkeypatch, {}) == {}
    others = [match(1, np.eye(3)), match(2, np.eye(3), score=2.94), match(3, np.eye(3), verdict="accepted")]
    assert pairs_for(monkeypatch, {1: others}) == {}
    assert list(pairs_for(monkeypatch, {1: [match(2, np.eye(3), score=2.95)]})) == [(1, 2)]  # from 0.95 on


def test_of_two_answers_the_surer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for scores in ((5.0, 6.0), (6.0, 5.0)):
        answers = {1: [match(2, scaled(2), score=scores[0])], 2: [match(1, scaled(0.4), score=scores[1])]}
        (pair,) = pairs_for(monkeypatch, answers).values()
        assert (pair.query, pair.alike) == (1, 6.0)
        np.testing.assert_allclose(pair.homography, scaled(2 if scores[0] == 6 else 2.5))


def blobs(folder: Path) -> list[Path]:
    """Three pictures with hardly a feature, each also turned by 90 degrees, and two of them as smaller copies, too."""
    random = np.random.default_rng(4)
    folder.mkdir()
    for name in ("a", "b", "c"):
        soft = Image.fromarray(random.integers(0, 256, (6, 8, 3)).astype(np.uint8))
        soft.resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"{name}.png")
        picture = Image.open(folder / f"{name}.png")
        picture.transpose(Image.Transpose.ROTATE_90).resize((180, 240)).save(folder / f"{name}-turned.jpg")
        if name != "b":
            picture.resize((240, 180)).save(folder / f"{name}-small.jpg")
    return sorted(folder.iterdir())


def names(groups: Sequence[Group]) -> list[set[str]]:
    return sorted(({Path(member.names[0]).name for member in group.members} for group in groups), key=sorted)


def told(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """All but the ids."""
    found = [group.to_dict() for group in groups]
    for group in found:
        for member in group["members"]:
            del member["id"]
    return found


def test_pictures_with_few_features_that_stay_alone_are_looked_up(
    tiny_vocabulary: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "_LEAST_GEOMETRY", np.inf)  # soft blobs have some, too
    files = blobs(tmp_path / "pictures")
    index = Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    index.add(files, jobs=1)
    found = index.groups(jobs=1)
    assert names(found) == [{"a.png", "a-small.jpg", "a-turned.jpg"}, {"c.png", "c-small.jpg", "c-turned.jpg"}]
    (turned,) = (member for member in found[0].members if "turned" in member.names[0])
    assert turned.homography is not None
    np.testing.assert_allclose(turned.homography @ [0, 239, 1], [0, 0, 1], atol=2)  # from lower left to upper left
    assert told(index.groups(jobs=2)) == told(found)
    other = Index.open(tmp_path / "other", create=True, vocabulary=tiny_vocabulary)
    for file in reversed(files):
        other.add([file], jobs=1)
    assert told(other.groups(jobs=1)) == told(found)

    upright = [{"a.png", "a-small.jpg"}, {"c.png", "c-small.jpg"}]
    monkeypatch.setattr(finding, "FEW_FEATURES", 0)
    assert names(index.groups(jobs=1)) == upright
    monkeypatch.setattr(finding, "FEW_FEATURES", 200)
    assert names(index.groups(jobs=1)) == names(found)
    monkeypatch.setattr(finding, "asked", lambda *given, jobs: dict(list(asked(*given, jobs=jobs).items())[:1]))
    assert names(index.groups(jobs=1)) == upright  # one match is not enough
    monkeypatch.setattr(finding, "asked", asked)
    for file in files:
        if "turned" in file.name:
            Image.open(tmp_path / "pictures" / "b.png").save(file)  # another picture now, and looked up no more
    assert names(index.groups(jobs=1)) == upright
