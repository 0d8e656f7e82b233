"""Pictures without detail: how they are described, compared, found, and not mistaken for one another."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import featmatch
from featmatch import Index, Vocabulary
from featmatch.evaluation.edits import blur, jpeg, scale
from featmatch.features.looks import (
    FEW_FEATURES,
    FORMS,
    LEAST_DETAIL,
    LOOK,
    WholePicture,
    colour_likeness,
    likeness,
    original_from_undone,
    undone,
    whole_picture,
)
from featmatch.geometry.maps import project
from featmatch.images.pixels import load_grey
from featmatch.proof.probability import Likeness, WholeEvidence
from featmatch.search.pictures import Pictures
from featmatch.search.whole_search import whole_candidates
from featmatch.store.segment import Segment

Picture = NDArray[np.uint8]


def described(picture: Picture) -> WholePicture:
    return whole_picture(load_grey(picture, longest_px=2000, colours=True))


def blobs(seed: int, width: int = 240, height: int = 180) -> Picture:
    """Soft random colours, with far too little detail for features."""
    cells = np.random.default_rng(seed).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    large = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.GaussianBlur(large, (0, 0), 14), np.uint8)


def gradient(top: int, bottom: int) -> Picture:
    rows = np.linspace(top, bottom, 180).astype(np.uint8)
    return np.repeat(np.repeat(rows[:, None, None], 240, axis=1), 3, axis=2)


def in_form(picture: Picture, form: int) -> Picture:
    turned = np.rot90(picture, form % 4)
    return np.ascontiguousarray(turned[:, ::-1] if form >= 4 else turned)


# Description


@pytest.mark.parametrize("form", range(FORMS))
def test_each_form_is_undone_and_maps_its_pixels_back(form: int) -> None:
    picture = blobs(1)
    edited = in_form(picture, form)
    assert (undone(edited, form) == picture).all()
    matrix, size = original_from_undone(form, edited.shape[1], edited.shape[0])
    assert size == (picture.shape[1], picture.shape[0])
    x, y = project(matrix, np.array([[5.0, 9.0]]))[0].round().astype(int)
    assert (picture[y, x] == edited[9, 5]).all()


@pytest.mark.parametrize("form", range(FORMS))
def test_the_forms_of_a_query_hold_the_look_of_its_original(form: int) -> None:
    original, edited = described(blobs(2)), described(in_form(blobs(2), form))
    assert int(np.bitwise_count(edited.phashes[form] ^ original.phashes[0])) <= 2
    values = likeness(edited.looks, np.repeat(original.looks[:1], FORMS))
    assert values.argmax() == form
    assert values[form] > 0.9 * original.detail


def test_likeness_grows_with_what_there_is_to_tell() -> None:
    rich, unlike, plain = (described(picture).looks[:1] for picture in (blobs(3), blobs(4), gradient(90, 140)))
    assert likeness(rich, rich) > 10
    assert likeness(rich, unlike) < LEAST_DETAIL
    assert likeness(plain, plain) < LEAST_DETAIL
    assert likeness(rich, plain) < LEAST_DETAIL
    negative = described(255 - blobs(3)).looks[:1]
    assert likeness(rich, negative) < -10


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_one_tone_has_no_detail(grey: int) -> None:
    assert described(np.full((50, 80, 3), grey, np.uint8)).detail == 0


def test_colours_are_told_apart_and_survive_compression() -> None:
    red, blue = (np.full((64, 64, 3), colour, np.uint8) for colour in ((200, 30, 30), (30, 30, 200)))
    looks = [described(picture).looks[:1] for picture in (red, jpeg(red, 30), blue)]
    assert colour_likeness(looks[0], looks[1]) > 0.98
    assert colour_likeness(looks[0], looks[2]) < 0.5


def test_what_is_kept_of_an_image_is_small() -> None:
    assert LOOK.itemsize + np.dtype(np.uint64).itemsize <= 128


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "F"])
def test_every_kind_of_picture_has_colours(mode: str) -> None:
    picture = Image.fromarray(blobs(5))
    if mode == "LAB":
        picture = Image.new("LAB", picture.size, (90, 30, 30))
    elif mode == "I;16":
        picture = picture.convert("L").convert("I").convert("I;16")
    else:
        picture = picture.convert(mode)
    grey = load_grey(picture, longest_px=2000, colours=True)
    assert grey.colours is not None
    assert grey.colours.shape == (64, 64, 3)
    assert grey.colours.dtype == np.uint8
    assert load_grey(picture, longest_px=2000).colours is None


def test_reading_the_colours_leaves_the_grey_pixels_as_they_are(tmp_path: Path, photo_folder: Path) -> None:
    with Image.open(photo_folder / "astronaut.png") as picture:
        picture.save(tmp_path / "a.jpg", quality=90)
    for longest_px in (100, 256, 2000):
        with_colours = load_grey(tmp_path / "a.jpg", longest_px=longest_px, colours=True)
        np.testing.assert_array_equal(with_colours.pixels, load_grey(tmp_path / "a.jpg", longest_px=longest_px).pixels)


def test_the_score_grows_with_all_evidence() -> None:
    def score(layout: float, share: float, colours: float, agreement: float | None) -> float:
        return WholeEvidence(Likeness(layout, share, colours), agreement).score()

    assert score(150, 1, 1, None) > score(150, 0.5, 1, None) > score(20, 0.5, 1, None)
    assert score(150, 1, 1, 1) > score(150, 1, 1, 0.2)
    assert score(150, 1, 1, 1) > score(150, 1, 0.5, 1)


# Search


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
    assert plain_index.query(blobs(3, width=240, height=120)) == []


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
        return [match.id for match in whole_candidates(whole_picture(grey), grey, features, [segment], removed)][:1]

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


# Pairs


def test_verify_tells_whole_pictures(photos: dict[str, Picture]) -> None:
    proof = featmatch.verify(np.rot90(jpeg(blobs(1), 50)), blobs(1))
    assert proof
    assert proof.proof is not None
    assert str(proof.proof.relation) == "whole picture, rotated 90°"
    assert "whole picture" in proof.reason
    assert not featmatch.verify(blobs(1), blobs(2))
    assert not featmatch.verify(gradient(50, 90), gradient(50, 90))
    assert not featmatch.verify(gradient(50, 90), photos["chelsea"])


def test_a_strongly_blurred_photo_is_proven_by_what_tells_more(photos: dict[str, Picture]) -> None:
    assert featmatch.verify(blur(photos["coffee"], 11), photos["coffee"])
    assert not featmatch.verify(blur(photos["coffee"], 11), photos["chelsea"])
