"""The whole of it, with the shipped vocabularies: edited copies of photos are found, and what is not there is not."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import featmatch
from featmatch import Index, Match
from featmatch.features.forms import Forms
from featmatch.proof.proof import Proof

Photos = dict[str, NDArray[np.uint8]]
Matrix = NDArray[np.float64]

HELD_OUT = ("coffee", "camera")


@dataclass(frozen=True)
class Edited:
    """An edited copy, and the truth about it: where its pixels come from, and what was done."""

    pixels: NDArray[np.uint8]
    reference_from_query: Matrix
    kinds: tuple[str, ...]
    rotation_deg: float = 0.0
    scale: float = 1.0
    mirrored: bool = False
    negative: bool = False
    window: tuple[float, float, float, float] | None = None  # of the query, x y x y: where the photo is; None: anywhere


Edit = Callable[[NDArray[np.uint8]], Edited]


def shift(x: float, y: float) -> Matrix:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def resized(factor_x: float, factor_y: float) -> Matrix:
    """What a resize does to coordinates: edges of pixels stay where they are."""
    return np.array([[factor_x, 0, factor_x / 2 - 0.5], [0, factor_y, factor_y / 2 - 0.5], [0, 0, 1]])


def crop(part: float) -> Edit:
    """Cut out this part of the area, around the middle."""

    def edit(photo: NDArray[np.uint8]) -> Edited:
        height, width = (round(side * part**0.5) for side in photo.shape[:2])
        y, x = (photo.shape[0] - height) // 2, (photo.shape[1] - width) // 2
        return Edited(photo[y : y + height, x : x + width], shift(x, y), ("crop",))

    return edit


def rotate(degrees: float) -> Edit:
    def edit(photo: NDArray[np.uint8]) -> Edited:
        picture = Image.fromarray(photo)
        turned = picture.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        back = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])  # y points down
        into = shift((picture.width - 1) / 2, (picture.height - 1) / 2)
        out_of = shift(-(turned.width - 1) / 2, -(turned.height - 1) / 2)
        return Edited(np.asarray(turned), into @ back @ out_of, ("copy", "contains"), rotation_deg=degrees)

    return edit


def mirror(photo: NDArray[np.uint8]) -> Edited:
    flip = np.array([[-1.0, 0, photo.shape[1] - 1], [0, 1, 0], [0, 0, 1]])
    return Edited(np.ascontiguousarray(photo[:, ::-1]), flip, ("copy",), mirrored=True)


def negative(photo: NDArray[np.uint8]) -> Edited:
    return Edited(255 - photo, np.eye(3), ("copy",), negative=True)


def mirror_negative(photo: NDArray[np.uint8]) -> Edited:
    mirrored = mirror(photo)
    return Edited(255 - mirrored.pixels, mirrored.reference_from_query, ("copy",), mirrored=True, negative=True)


def half_size(photo: NDArray[np.uint8]) -> Edited:
    picture = Image.fromarray(photo)
    small = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)
    back = resized(picture.width / small.width, picture.height / small.height)
    return Edited(np.asarray(small), back, ("copy",), scale=0.5)


def jpeg(photo: NDArray[np.uint8]) -> Edited:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=10)
    with Image.open(buffer) as compressed:
        return Edited(np.asarray(compressed.convert("RGB")), np.eye(3), ("copy",))


def pasted(photo: NDArray[np.uint8]) -> Edited:
    """Put the photo, smaller, into a picture of coloured noise."""
    picture = Image.fromarray(photo)
    small = picture.resize((round(picture.width * 0.7), round(picture.height * 0.7)), Image.Resampling.LANCZOS)
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    canvas = Image.fromarray(noise).resize((picture.width + 100, picture.height + 100), Image.Resampling.BICUBIC)
    canvas.paste(small, (70, 40))
    back = resized(picture.width / small.width, picture.height / small.height) @ shift(-70, -40)
    window = (70, 40, 70 + small.width - 1, 40 + small.height - 1)
    return Edited(np.asarray(canvas), back, ("contains",), scale=0.7, window=window)


EDITS: dict[str, Edit] = {
    "crop 50 %": crop(0.5),
    "crop 20 %": crop(0.2),
    "crop 10 %": crop(0.1),
    "rotated 17": rotate(17),
    "rotated 90": rotate(90),
    "rotated -135": rotate(-135),
    "rotated 180": rotate(180),
    "mirror": mirror,
    "negative": negative,
    "mirror negative": mirror_negative,
    "half size": half_size,
    "JPEG 10": jpeg,
    "pasted": pasted,
}
FEW_EDITS = ("crop 50 %", "rotated 17", "mirror", "negative")


def points_of(edited: Edited, photo: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of the photo that are in the edited copy: where they are there, and where they are in the photo."""
    x, y = np.meshgrid(np.linspace(0, photo.shape[1] - 1, 21), np.linspace(0, photo.shape[0] - 1, 21))
    reference = np.column_stack([x.ravel(), y.ravel()])
    query = mapped(np.linalg.inv(edited.reference_from_query).astype(np.float64), reference)
    left, top, right, bottom = edited.window or (0, 0, edited.pixels.shape[1] - 1, edited.pixels.shape[0] - 1)
    seen = (query >= [left, top]).all(axis=1) & (query <= [right, bottom]).all(axis=1)
    return query[seen], reference[seen]


def mapped(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])


def faults(match: Match | Proof, edited: Edited, photo: NDArray[np.uint8]) -> list[str]:
    """What a match says that is not so."""
    relation = match.relation
    query, reference = points_of(edited, photo)
    error_px = float(np.linalg.norm(mapped(match.homography, query) - reference, axis=1).max())
    off_deg = abs((relation.rotation_deg - edited.rotation_deg + 180) % 360 - 180)
    wrong = {
        f"kind {relation.kind}": relation.kind not in edited.kinds,
        f"mirrored {relation.mirrored}": relation.mirrored != edited.mirrored,
        f"negative {relation.negative}": relation.negative != edited.negative,
        f"rotation {relation.rotation_deg:.1f}": off_deg > 2,
        f"scale {relation.scale:.3f}": abs(relation.scale / edited.scale - 1) > 0.05,
        f"points off by {error_px:.1f} px": error_px > 3,
    }
    return [fault for fault, is_so in wrong.items() if is_so]


def searched(index: Index, photos: Photos, edit: Edit) -> dict[str, str]:
    """Photos that were not found first and proven by an edited copy, or wrongly described; what went wrong."""
    wrong = {}
    for name, photo in photos.items():
        edited = edit(photo)
        matches = index.query(edited.pixels)
        if not matches:
            wrong[name] = "not found"
        elif Path(matches[0].name).stem != name:
            wrong[name] = f"took it for {matches[0].name}"
        elif found := faults(matches[0], edited, photo):
            wrong[name] = ", ".join(found)
    return wrong


def proven_without_the_original(index: Index, photos: Photos, edits: tuple[str, ...], forms: Forms) -> list[str]:
    """Names that were claimed for edited copies of photos that are not in the index."""
    queries = [EDITS[edit](photos[name]).pixels for name in HELD_OUT for edit in edits]
    return [match.name for query in queries for match in index.query(query, forms=forms)]


@pytest.fixture(scope="session")
def photo_files(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """All photos but those held out."""
    folder = tmp_path_factory.mktemp("indexed")
    for name, photo in photos.items():
        if name not in HELD_OUT:
            Image.fromarray(photo).save(folder / f"{name}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def sift_index(photo_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Index:
    index = Index.open(tmp_path_factory.mktemp("sift") / "index", create=True)
    assert index.add(photo_files, jobs=1).failed == []
    return index


@pytest.fixture(scope="session", params=["akaze", "orb", "brisk"])
def binary_index(
    request: pytest.FixtureRequest, photo_files: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Index:
    index = Index.open(tmp_path_factory.mktemp(request.param) / "index", create=True, features=request.param)
    assert index.add(photo_files, jobs=1).failed == []
    return index


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_copy_finds_its_original_and_says_what_was_done(sift_index: Index, photos: Photos, edit: str) -> None:
    indexed = [name for name in photos if name not in HELD_OUT]
    some = indexed[list(EDITS).index(edit) % 2 :: 2]  # each photo is edited in six ways at least
    assert searched(sift_index, {name: photos[name] for name in some}, EDITS[edit]) == {}


def test_nothing_is_claimed_for_photos_that_are_not_there(sift_index: Index, photos: Photos) -> None:
    assert [match.name for name in HELD_OUT for match in sift_index.query(photos[name])] == []
    edits = ("crop 50 %", "crop 20 %", "rotated 17", "mirror negative", "half size", "pasted")
    assert proven_without_the_original(sift_index, photos, edits, "few") == []


def test_noise_and_plain_pictures_prove_nothing(sift_index: Index) -> None:
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (240, 320)).astype(np.uint8)
    assert sift_index.query(noise) == []
    assert sift_index.query(np.full((240, 320), 99, np.uint8)).status == "too_little_detail"


@pytest.mark.parametrize("edit", FEW_EDITS)
def test_binary_features_find_edited_copies_as_well(binary_index: Index, photos: Photos, edit: str) -> None:
    name = ("astronaut", "chelsea")[FEW_EDITS.index(edit) % 2]  # the binary detectors look at all variants anew
    assert searched(binary_index, {name: photos[name]}, EDITS[edit]) == {}


def test_binary_features_claim_nothing_for_photos_that_are_not_there(binary_index: Index, photos: Photos) -> None:
    assert proven_without_the_original(binary_index, photos, ("crop 50 %", "mirror"), "none") == []


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_verify_proves_an_edited_copy(photos: Photos, edit: Edit) -> None:
    photo = photos["chelsea"]
    edited = edit(photo)
    proof = featmatch.verify(edited.pixels, photo)
    assert proof
    assert proof.proof is not None
    assert faults(proof.proof, edited, photo) == []
    assert proof.reason
    assert proof.inliers == proof.proof.inliers
    assert proof.probability > 0.5
    assert proof.homography is not None


@pytest.mark.parametrize("detector", ["akaze", "orb", "brisk"])
@pytest.mark.parametrize("edit", ["rotated 17", "mirror", "negative"])
def test_verify_proves_with_other_features(photos: Photos, detector: str, edit: str) -> None:
    edited = EDITS[edit](photos["astronaut"])
    proof = featmatch.verify(edited.pixels, photos["astronaut"], features=detector)
    assert proof
    assert proof.proof is not None
    assert faults(proof.proof, edited, photos["astronaut"]) == []


@pytest.mark.parametrize(
    ("a", "b", "forms"),
    [
        ("astronaut", "coffee", "few"), ("rocket", "chelsea", "all"), ("brick", "grass", "few"),
        ("camera", "coins", "few"),
    ],
)  # fmt: skip
def test_verify_denies_unrelated_pictures_with_a_reason(photos: Photos, a: str, b: str, forms: Forms) -> None:
    step = 2 if forms == "all" else 1  # there are many
    proof = featmatch.verify(photos[a][::step, ::step], photos[b][::step, ::step], forms=forms)
    assert not proof
    assert proof.reason
    assert proof.homography is None
    assert proof.probability < 0.5


@pytest.mark.parametrize(("a", "b"), [("chelsea", "rocket"), ("rocket", "chelsea")])
def test_verify_denies_in_either_order(photos: Photos, a: str, b: str) -> None:
    assert not featmatch.verify(photos[a], photos[b], forms="none")


def test_verify_says_which_picture_has_too_little_detail(photos: Photos) -> None:
    blank = np.full((200, 300), 128, np.uint8)
    first, second = featmatch.verify(blank, photos["chelsea"]), featmatch.verify(photos["chelsea"], blank)
    assert not first
    assert not second
    assert "first" in first.reason
    assert "second" in second.reason


def test_verify_raises_for_files_that_cannot_be_read(photos: Photos, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    for name, status in (("missing.jpg", "not_found"), ("text.jpg", "decode_failed")):
        for a, b in ((tmp_path / name, photos["chelsea"]), (photos["chelsea"], tmp_path / name)):
            with pytest.raises(featmatch.ImageError) as error:
                featmatch.verify(a, b)
            assert error.value.status == status


def test_a_verification_can_be_drawn_whatever_its_answer(photos: Photos) -> None:
    yes = featmatch.verify(rotate(17)(photos["chelsea"]).pixels, photos["chelsea"]).draw()
    no = featmatch.verify(photos["brick"], photos["coffee"], forms="none").draw()
    for picture in (yes, no):
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[2] == 3
        assert picture.std() > 5
