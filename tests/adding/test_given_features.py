from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import featmatch
from featmatch import Features, Index, UsageError, Vocabulary
from featmatch.adding import batches
from tests.features.given_scenes import SCENES
from tests.geometry.known_maps import TRUTHS, mapped


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return featmatch.train_vocabulary((SCENES.seen(scene) for scene in range(8)), words=64)


@pytest.fixture
def index(words: Vocabulary, tmp_path: Path) -> Index:
    return Index.open(tmp_path / "net.fm", create=True, features="points:net-64", vocabulary=words)


def test_what_was_added_is_found_as_it_was_turned(index: Index) -> None:
    report = index.add_features(((f"scene {scene}", SCENES.seen(scene)) for scene in range(6)), text="a net's")
    assert report.added == [f"scene {scene}" for scene in range(6)]
    for scene in range(6):
        (match,) = index.query(SCENES.seen(scene, "turned and smaller"))
        assert match.name == f"scene {scene}"
        assert (round(match.relation.rotation_deg), round(match.relation.scale, 1)) == (33, 0.4)
        there = mapped(TRUTHS["turned and smaller"], np.array([[500.0, 450.0]]))
        assert np.abs(mapped(match.homography, there) - [500, 450]).max() < 5
    assert index.query(SCENES.seen(7)) == []
    assert next(index.images()).text == "a net's"


def test_groups_are_found_from_what_is_stored(index: Index) -> None:
    index.add_features([("a", SCENES.seen(0)), ("b", SCENES.seen(1)), ("c", SCENES.seen(0, "quarter turn"))])
    (group,) = index.groups(jobs=1)
    assert {name for member in group.members for name in member.names} == {"a", "c"}


def test_again_is_skipped_and_another_takes_the_name(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_IMAGES", 2)
    pairs = [(f"scene {scene}", SCENES.seen(scene)) for scene in range(3)]
    index.add_features(pairs)
    report = index.add_features([*pairs, ("scene 0", SCENES.seen(4))])
    assert (report.added, report.skipped) == (["scene 0"], ["scene 0", "scene 1", "scene 2"])
    assert len(index) == 3
    assert [match.name for match in index.query(SCENES.seen(4))] == ["scene 0"]
    assert index.query(SCENES.seen(0)) == []


def test_too_few_features_fail(index: Index) -> None:
    report = index.add_features([("few", SCENES.seen(0, landmarks=slice(2)))])
    assert [(one.name, one.status) for one in report.failed] == [("few", "too_little_detail")]
    assert index.query(SCENES.seen(0, landmarks=slice(2))).status == "too_little_detail"


@pytest.mark.parametrize("wrong", [("b", SCENES.seen(1, turned=True)), ("b", "b.jpg"), ("", SCENES.seen(1)), 3])
def test_what_came_before_a_wrong_one_is_added(index: Index, wrong: object) -> None:
    with pytest.raises(UsageError):
        index.add_features([("a", SCENES.seen(0)), wrong])  # type: ignore[list-item]
    assert [match.name for match in index.query(SCENES.seen(0))] == ["a"]


def test_pictures_are_kept_and_compared(index: Index) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (50, 50)).astype(np.uint8).repeat(20, 0).repeat(20, 1)
    with_picture = Features.from_arrays("net", SCENES.places[0], SCENES.vectors[0], picture=pixels)
    index.add_features([("a", with_picture), ("b", SCENES.seen(1))])
    assert index.info().pictures == 1
    (match,) = index.query(with_picture)
    assert match.proof.evidence.agreement is not None and match.proof.evidence.agreement > 0.9
    (match,) = index.query(SCENES.seen(0))
    assert match.proof.evidence.agreement is None


def test_pictures_are_no_features_of_another_tool(index: Index, tmp_path: Path) -> None:
    picture = np.zeros((60, 60), np.uint8)
    with pytest.raises(UsageError, match="another tool's"):
        index.query(picture)
    with pytest.raises(UsageError, match="add_features"):
        index.add([tmp_path])
    with pytest.raises(UsageError, match="add_features"):
        index.add_images([("a", picture)])
    with pytest.raises(UsageError, match="not of arrays:net-64"):
        index.query(SCENES.seen(0, turned=True))
    with pytest.raises(UsageError, match="region"):
        index.query(SCENES.seen(0), region=(0, 0, 10, 10))


def test_our_own_features_are_found_in_all_variants(small_words: Vocabulary, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    picture = random.integers(0, 255, (40, 40)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    index = Index.open(tmp_path / "own.fm", create=True, vocabulary=small_words)
    assert index.add_features([("own", featmatch.extract(picture))]).added == ["own"]
    for seen in (picture, picture[:, ::-1], 255 - picture):
        (match,) = index.query(featmatch.extract(np.ascontiguousarray(seen)))
        assert match.name == "own"
    assert match.relation.negative
