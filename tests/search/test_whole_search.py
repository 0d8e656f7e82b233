"""Pictures without detail: how they are found, and not mistaken for one another."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import featmatch
from featmatch import Index, Vocabulary
from featmatch.evaluation.edits import blur, jpeg, scale
from featmatch.features.looks import (
    FEW_FEATURES,
    FORMS,
    LEAST_DETAIL,
    whole_picture,
)
from featmatch.geometry.maps import project
from featmatch.images.pixels import load_grey
from featmatch.proof.probability import FeatureEvidence
from featmatch.proof.proof import Evidence
from featmatch.proof.whole_evidence import Likeness, WholeEvidence
from featmatch.search.matches import FoundImage
from featmatch.search.pictures import Pictures
from featmatch.search.whole_search import nearest, preferred, whole_candidates
from featmatch.store.segment import Segment
from tests.plain_pictures import Picture, before_a_background, blobs, described, drawn_flag, gradient, in_form
from tests.proof.proofs import made_proof


@pytest.fixture(scope="module")
def plain_index(tmp_path_factory: pytest.TempPathFactory, tiny_vocabulary: Vocabulary) -> Index:
    """Twelve pictures of soft blobs, nearly all without enough features."""
    folder = tmp_path_factory.mktemp("plain")
    for number in range(12):
        Image.fromarray(blobs(number)).save(folder / f"{number:02d}.png")
    index = Index.open(folder / "index", create=True, vocabulary=tiny_vocabulary)
    report = index.add([folder], jobs=1)
    assert len(report.added) == 12
    return index


@pytest.mark.parametrize("form", range(FORMS))
def test_a_picture_without_features_is_found_in_every_form(plain_index: Index, form: int) -> None:
    edited = jpeg(scale(in_form(blobs(7), form), 0.5), 60)
    matches = plain_index.query(edited)
    assert matches.status == "ok"
    (match,) = matches
    assert Path(match.name).name == "07.png"
    relation = match.relation
    assert (relation.kind, relation.mirrored, relation.negative) == ("whole picture", form >= 4, False)
    assert relation.rotation_deg == (0, 90, 180, -90)[form % 4]
    assert relation.scale == pytest.approx(0.5, abs=0.01)
    assert (match.inliers, match.query_overlap, match.reference_overlap) == (0, 1.0, 1.0)
    assert match.proof.evidence.agreement is not None
    assert match.proof.evidence.agreement > 0.9
    corners = project(match.homography, np.array([[-0.5, -0.5], [edited.shape[1] - 0.5, edited.shape[0] - 0.5]]))
    np.testing.assert_allclose(sorted(corners[:, 0]), [-0.5, 239.5], atol=0.01)
    np.testing.assert_allclose(sorted(corners[:, 1]), [-0.5, 179.5], atol=0.01)


def test_it_is_found_without_its_file_too(plain_index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pictures, "of", lambda *_: None)
    (match,) = plain_index.query(blur(blobs(3), 2))
    assert Path(match.name).name == "03.png"
    assert match.proof.evidence.agreement is None


def test_another_such_picture_is_not_claimed(plain_index: Index) -> None:
    for seed in range(100, 130):
        assert plain_index.query(blobs(seed)) == []


def test_another_shape_of_frame_is_not_the_whole_picture(plain_index: Index) -> None:
    assert plain_index.query(blobs(3, width=240, height=120), forms="none") == []


def test_gradients_and_single_tones_say_that_there_is_too_little(plain_index: Index, tmp_path: Path) -> None:
    for number, picture in enumerate((gradient(90, 140), gradient(99, 99))):
        assert plain_index.query(picture).status == "too_little_detail"
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    report = plain_index.add([tmp_path / "0.png", tmp_path / "1.png"], jobs=1)
    assert [failure.status for failure in report.failed] == ["too_little_detail"] * 2


def test_only_pairs_with_few_features_are_compared(plain_index: Index) -> None:
    (segment,) = plain_index.snapshot.segments.values()
    assert segment.features[3] < FEW_FEATURES
    rich = dataclasses.replace(segment, features=np.full_like(segment.features, FEW_FEATURES))
    grey = load_grey(blobs(3), longest_px=2000, colours=True)

    def found(segment: Segment, features: int, removed: frozenset[int] = frozenset()) -> list[int]:
        images: list[int] = nearest(
            whole_picture(grey), 4 / 3, features, [segment], removed, stretch=1.1
        ).images.tolist()
        return images[:1]

    assert found(segment, FEW_FEATURES) == found(rich, FEW_FEATURES - 1) != []
    assert found(rich, FEW_FEATURES) == []
    assert found(segment, 0, frozenset(segment.ids.tolist())) == []


def test_removing_and_compacting_know_of_images_without_features(tmp_path: Path, tiny_vocabulary: Vocabulary) -> None:
    for number in range(3):
        Image.fromarray(blobs(number)).save(tmp_path / f"{number}.png")
    index = Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    for number in range(3):
        index.add([tmp_path / f"{number}.png"], jobs=1)
    index.compact()
    assert [match.name for match in index.query(blobs(1))] == [str(tmp_path / "1.png")]
    index.remove([str(tmp_path / "1.png")])
    assert index.query(blobs(1)) == []
    index.compact()
    info = index.info()
    assert (info.images, info.removed, info.features, info.segments) == (2, 0, 0, 1)
    assert [match.name for match in index.query(blobs(2))] == [str(tmp_path / "2.png")]
    assert featmatch.check(tmp_path / "index")


# One segment that the test made


def made_segment(pictures: list[Picture], first_id: int = 100, features: int = 0) -> Any:
    """What the search reads of a segment with these pictures."""
    wholes = [described(picture) for picture in pictures]
    many = np.full(len(pictures), features)
    return SimpleNamespace(
        ids=np.arange(first_id, first_id + len(pictures), dtype=np.uint32),
        phashes=np.array([one.phashes[0] for one in wholes], np.uint64),
        looks=np.array([one.looks[0] for one in wholes]),
        widths=np.array([picture.shape[1] for picture in pictures]),
        heights=np.array([picture.shape[0] for picture in pictures]),
        features=many,
        plain=np.flatnonzero(many < FEW_FEATURES),
    )


def candidates(
    picture: Picture, *segments: Any, removed: tuple[int, ...] = (), among: list[int] | None = None
) -> list[FoundImage]:
    grey = load_grey(picture, longest_px=2000, colours=True)
    whole = whole_picture(grey)
    found = nearest(whole, grey.width / grey.height, 0, segments, frozenset(removed), among, stretch=1.1)
    return whole_candidates(found, whole, grey)


def test_the_best_four_come_best_first() -> None:
    mixed = [cv2.addWeighted(blobs(3), 1 - share, blobs(4), share, 0) for share in (0.4, 0.15, 0, 0.3, 0.05, 0.1)]
    segment = made_segment([np.asarray(picture, np.uint8) for picture in mixed])
    found = candidates(blobs(3), segment)
    assert [one.id for one in found] == [102, 104, 105, 101]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_of_equal_images_those_with_the_lower_numbers_come_first() -> None:
    segment = made_segment([blobs(3)] * 5)
    assert [one.id for one in candidates(blobs(3), segment)] == [100, 101, 102, 103]


def test_an_image_that_fits_in_two_forms_is_found_once() -> None:
    half = blobs(6, width=120)
    symmetrical = np.concatenate([half, half[:, ::-1]], axis=1)
    (found,) = candidates(symmetrical, made_segment([symmetrical]))
    assert found.proof.relation.rotation_deg == 0


def test_each_segment_is_searched_but_for_what_was_removed_or_is_not_among() -> None:
    segments = made_segment([blobs(1), blobs(3)]), made_segment([blobs(2), blobs(3), blobs(4)], first_id=200)
    assert [one.id for one in candidates(blobs(3), *segments)] == [101, 201]
    assert [one.id for one in candidates(blobs(3), *segments, removed=(101,))] == [201]
    assert [one.id for one in candidates(blobs(3), *segments, among=[100, 101])] == [101]
    assert candidates(blobs(3), *segments, removed=(101,), among=[100, 101]) == []
    assert candidates(blobs(3)) == candidates(blobs(3), *segments, among=[]) == []


@pytest.mark.parametrize(("bits", "is_found"), [(20, True), (21, False)])
def test_hashes_of_the_same_picture_differ_in_20_bits_at_most(bits: int, is_found: bool) -> None:
    segment = made_segment([blobs(3)])
    segment.phashes ^= np.uint64((1 << bits) - 1)
    assert bool(candidates(blobs(3), segment)) is is_found


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("stretch", "is_found"), [(1.09, True), (1.12, False), (1 / 1.09, True), (1 / 1.12, False)])
def test_shapes_differ_by_a_tenth_at_most(turned: bool, stretch: float, is_found: bool) -> None:
    segment = made_segment([blobs(3)])
    segment.widths = segment.widths * stretch
    assert bool(candidates(in_form(blobs(3), int(turned)), segment)) is is_found


def test_a_picture_that_is_plain_as_a_whole_is_found_by_nothing() -> None:
    assert described(gradient(90, 140)).detail < LEAST_DETAIL
    assert candidates(gradient(90, 140), made_segment([gradient(90, 140)])) == []


def test_two_hundred_images_with_the_nearest_hashes_are_compared() -> None:
    for others, is_found in ((199, True), (200, False)):
        segment = made_segment([blobs(1)] * others + [blobs(3)])
        segment.phashes[:] = described(blobs(3)).phashes[0]
        segment.phashes[-1] ^= np.uint64(1)  # one bit further off than the others, which look otherwise
        assert bool([one for one in candidates(blobs(3), segment) if one.id == 100 + others]) is is_found


def found_by(number: int, evidence: Evidence) -> FoundImage:
    proof = made_proof(np.eye(3), (100, 100), (100, 100))
    return FoundImage(number, dataclasses.replace(proof, evidence=evidence))


SURE, DOUBTFUL, HOPELESS = (FeatureEvidence(geometry, geometry, 1.0, 1.0, "sift") for geometry in (300.0, 8.0, 1.0))
ALIKE, UNLIKE = (WholeEvidence(Likeness(layout, 0.9, 0.9), agreement) for layout, agreement in ((150, 0.95), (60, 0.5)))


@pytest.mark.parametrize(
    ("by_features", "as_whole", "expected"),
    [(SURE, ALIKE, SURE), (DOUBTFUL, ALIKE, ALIKE), (DOUBTFUL, UNLIKE, DOUBTFUL), (None, UNLIKE, UNLIKE)],
)
def test_features_that_prove_an_image_go_before_its_look(
    by_features: Evidence | None, as_whole: Evidence, expected: Evidence
) -> None:
    assert SURE.score() > ALIKE.score() > DOUBTFUL.score() > UNLIKE.score() > HOPELESS.score()
    found = [found_by(5, HOPELESS), *([] if by_features is None else [found_by(7, by_features)])]
    best = preferred(found, [found_by(7, as_whole)])
    assert [(one.id, one.proof.evidence) for one in best] == [(7, expected), (5, HOPELESS)]


def test_that_an_image_is_a_sister_is_kept_unless_its_look_proves_it() -> None:
    sister = dataclasses.replace(SURE, is_sister=True)
    nearly = WholeEvidence(Likeness(14.0, 0.6, 1.0), 0.86, 1.0, 0.15, 110)
    proven = dataclasses.replace(nearly, contradiction=0.0)
    assert sister.score() < nearly.score() < proven.score()
    for look, expected in ((nearly, sister), (proven, proven)):
        (best,) = preferred([found_by(7, sister)], [found_by(7, look)])
        assert best.proof.evidence == expected


def test_features_that_prove_an_image_are_kept_though_its_look_scores_higher() -> None:
    barely = FeatureEvidence(20.0, 20.0, 1.0, 0.6, "sift")
    assert found_by(1, barely).proof.proven
    assert barely.score() < ALIKE.score()
    (best,) = preferred([found_by(1, barely)], [found_by(1, ALIKE)])
    assert best.proof.evidence == barely


# Sheets within a query


@pytest.fixture(scope="module")
def flag_index(tmp_path_factory: pytest.TempPathFactory, tiny_vocabulary: Vocabulary) -> Index:
    folder = tmp_path_factory.mktemp("flags")
    for number in range(6):
        Image.fromarray(drawn_flag(number)).save(folder / f"{number}.png")
    index = Index.open(folder / "index", create=True, vocabulary=tiny_vocabulary)
    assert len(index.add([folder], jobs=1).added) == 6
    return index


SEEN = np.array([[120.0, 60], [520, 110], [480, 400], [90, 330]])


@pytest.mark.parametrize("number", [0, 3, 5])
def test_a_flat_picture_seen_from_the_side_is_found_as_a_sheet(flag_index: Index, number: int) -> None:
    picture = before_a_background(drawn_flag(number), SEEN)
    (match,) = flag_index.query(jpeg(blur(picture, 1), 90))
    assert Path(match.name).name == f"{number}.png"
    assert match.relation.kind == "contains"
    assert match.query_overlap == pytest.approx(0.34, abs=0.05)
    corners = project(match.homography, SEEN)
    np.testing.assert_allclose(corners, [[0, 0], [600, 0], [600, 400], [0, 400]], atol=12)
    assert flag_index.query(picture, forms="none") == []


def test_another_flat_picture_seen_from_the_side_is_not_claimed(flag_index: Index) -> None:
    for number in range(10, 16):
        found = flag_index.query(before_a_background(drawn_flag(number), SEEN), unproven=True)
        assert not any(one.proven for one in found)
        assert not any(one.relation.kind == "contains" and one.inliers == 0 for one in found)  # it says nothing
