"""Which image of a group is the original, and whether all of a copy is there in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from featmatch.grouping import choosing
from featmatch.grouping.choosing import NOT_COMPARED, Choice, Contender, choose
from tests.grouping.edited import EDITS, Picture, as_jpeg

Photos = dict[str, NDArray[np.uint8]]


# Of a whole group


def contender(number: int, **facts: Any) -> Contender:
    plain = Contender(
        number, f"{number}.jpg", None, np.eye(3), False, False, f"{number:064x}", 400, 300, 40_000, "JPEG", None, None
    )
    return replace(plain, **facts)


def half_placed() -> NDArray[np.float64]:
    return np.diag([2.0, 2, 1])


@pytest.mark.parametrize(
    ("others", "better", "by"),
    [
        ({}, {"width": 600, "height": 450}, "shows the most"),
        (
            {"placed": half_placed(), "width": 200, "height": 150},
            {"camera": "Canon", "taken": "2000"},
            "most pixels, as no file is at hand",
        ),
        ({}, {"camera": "Canon"}, "a camera's metadata"),
        ({"taken": "2003-01-02", "camera": "Canon"}, {"taken": "2003-01-01", "camera": "Canon"}, "taken earliest"),
        ({}, {"bytes": 60_000}, "least compressed"),
        ({}, {"name": "a"}, "the shortest name"),
        ({"is_holder": True, "width": 4000}, {}, "pasted into the others"),
        ({"placed": None}, {"width": 500}, "most pixels"),
    ],
)
def test_each_criterion_decides_where_those_before_do_not(
    others: dict[str, Any], better: dict[str, Any], by: str
) -> None:
    for numbers in ((1, 2, 3), (3, 2, 1)):
        group = [contender(numbers[0], **others), contender(numbers[1], **others), contender(numbers[2], **better)]
        if by == "most pixels":
            group = [contender(numbers[0], placed=np.eye(3)), contender(numbers[2], **(others | better))]
        assert choose(group) == Choice(numbers[2], by)


# Parts of it


def shifted(x: float, y: float = 0) -> NDArray[np.float64]:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


@pytest.mark.parametrize(("more", "decided"), [(21, False), (22, True)])
def test_an_image_shows_all_of_another_but_for_a_little(more: int, decided: bool) -> None:
    large = contender(2, name="the longer name", width=400 + more, placed=shifted(-more / 2), format="PNG")
    choice = choose([contender(1, format="PNG"), large])
    assert choice == (Choice(2, "shows the most") if decided else Choice(1, "the shortest name"))


def test_of_images_that_show_all_the_largest_is_no_better() -> None:
    large = contender(2, name="the longer name", width=410, placed=shifted(-5), format="PNG")
    crop = contender(3, width=100, placed=shifted(50), format="PNG")
    assert choose([contender(1, format="PNG"), large, crop]) == Choice(1, "the shortest name")


def test_where_all_lack_something_the_largest_shows_the_most() -> None:
    group = [contender(1), contender(2, width=500, placed=shifted(200)), contender(3, placed=shifted(-200))]
    assert choose(group) == Choice(2, "shows the most")
    assert choose([contender(1), contender(2, placed=shifted(200))]) == Choice(1, "the shortest name")


@pytest.mark.parametrize(("width", "decided"), [(408, False), (409, True)])
def test_as_many_pixels_but_for_two_percent_are_as_fine(width: int, decided: bool) -> None:
    factor = 400 / width
    matrix, height = np.diag([factor, factor, 1]), round(width * 0.75)
    fine = contender(2, name="the longer name", width=width, height=height, placed=matrix, format="PNG")
    choice = choose([contender(1, format="PNG"), fine])
    assert choice == (Choice(2, "most pixels, as no file is at hand") if decided else Choice(1, "the shortest name"))


@pytest.mark.parametrize(("bytes_", "decided"), [(40_700, False), (40_900, True)])
def test_bytes_a_pixel_decide_within_a_format(bytes_: int, decided: bool) -> None:
    group = [contender(1), contender(2, bytes=bytes_, name="the longer name")]
    assert choose(group) == (Choice(2, "least compressed") if decided else Choice(1, "the shortest name"))
    mixed = [contender(1), contender(2, bytes=90_000, format="WEBP", name="the longer name")]
    assert choose(mixed) == Choice(1, "the shortest name")
    lossless = [contender(1, format="PNG"), contender(2, bytes=90_000, format="PNG", name="the longer name")]
    assert choose(lossless) == Choice(1, "the shortest name")


def test_of_equal_names_the_first_in_the_alphabet() -> None:
    assert choose([contender(1, name="b.jpg"), contender(2, name="a.jpg")]) == Choice(2, "the shortest name")


def test_what_is_there_by_a_word_only_is_the_original_of_none_that_is_placed() -> None:
    group = [contender(1), contender(2), contender(3, placed=None, width=9000, camera="Canon")]
    assert choose(group) == Choice(1, "the shortest name")
    assert choose([contender(1, is_holder=True, width=900), contender(2)]) == Choice(2, "pasted into the others")
    assert choose([contender(1)]) == Choice(1, "the only one")


def test_a_camera_goes_before_dates_and_dates_before_compression() -> None:
    dated, taken = contender(1, taken="2001", bytes=90_000), contender(2, taken="2002", camera="Canon")
    assert choose([dated, taken]) == Choice(2, "a camera's metadata")
    assert choose([dated, replace(taken, camera=None)]) == Choice(1, "taken earliest")
    assert choose([contender(1, bytes=90_000), replace(taken, camera=None)]) == Choice(2, "taken earliest")


def saved(path: Path, picture: Picture, **facts: Any) -> Contender:
    picture.save(path, **facts)
    kind = {".jpg": "JPEG", ".png": "PNG"}[path.suffix]
    return contender(1, path=str(path), width=picture.width, height=picture.height, format=kind)


def test_the_quantisation_of_jpeg_files(photos: Photos, tmp_path: Path) -> None:
    photo = Image.fromarray(photos["coffee"])
    fine, coarse = (choosing._quantisation(saved(tmp_path / f"{q}.jpg", photo, quality=q)) for q in (90, 40))
    assert fine is not None
    assert coarse is not None
    with Image.open(tmp_path / "90.jpg") as image:
        assert fine == sum(image.quantization[0])  # type: ignore[attr-defined]
    assert fine < coarse / 4
    assert choosing._quantisation(saved(tmp_path / "a.png", photo)) is None
    assert choosing._quantisation(contender(1)) is None
    assert choosing._quantisation(contender(1, path=str(tmp_path / "gone.jpg"))) is None


def test_blocks_are_seen_whatever_the_format(photos: Photos, tmp_path: Path) -> None:
    photo = Image.fromarray(photos["coffee"]).convert("L")
    clean = choosing._blockiness(saved(tmp_path / "clean.png", photo))
    assert 1 <= clean < 1.1
    for turn in (0, 90):
        blocky = as_jpeg(10)(photo).rotate(turn, expand=True).crop((3, 5, 390, 390))
        assert choosing._blockiness(saved(tmp_path / "blocky.png", blocky)) > 1.5
    steps = np.zeros((64, 64), np.uint8)
    steps[:] = np.arange(64) * 2 + np.arange(64) // 8 * 4  # 2 a px, 6 from block to block
    for pixels in (steps, steps.T):
        choosing._grey.cache_clear()
        one = saved(tmp_path / "steps.png", Image.fromarray(np.ascontiguousarray(pixels)))
        assert choosing._blockiness(one) == pytest.approx(3)
        choosing._grey.cache_clear()
    small = saved(tmp_path / "small.png", Image.fromarray(steps[:8, :8]))
    assert choosing._blockiness(small) == 1
    assert choosing._blockiness(contender(1, path=str(tmp_path / "gone.png"))) == np.inf


def test_the_outline_leaves_plain_margins_out() -> None:
    pixels = np.full((100, 200), 250, np.uint8)
    pixels[20:60, 50:150] = np.random.default_rng(1).integers(0, 256, (40, 100))
    hull = choosing._hull(pixels)
    np.testing.assert_allclose(hull.min(axis=0), [0.25, 0.2])
    np.testing.assert_allclose(hull.max(axis=0), [151 / 200, 61 / 100])  # the step behind it is its own
    faint = np.full((100, 200), 250, np.uint8)
    faint[::2] = 252  # below three grey levels
    for plain in (np.full((100, 200), 7, np.uint8), faint):
        np.testing.assert_array_equal(choosing._hull(plain), [[0, 0], [1, 0], [1, 1], [0, 1]])
    few = np.full((100, 200), 250, np.uint8)
    few[10:14, 10:14] = np.random.default_rng(1).integers(0, 200, (4, 4))
    np.testing.assert_array_equal(choosing._hull(few), [[0, 0], [1, 0], [1, 1], [0, 1]])


def test_frames_and_resolutions_are_those_of_the_common_image() -> None:
    one = contender(1, placed=np.array([[2.0, 0, 10], [0, 2, 20], [0, 0, 1]]))
    frame = choosing._frame(one)
    assert sorted(map(tuple, frame.tolist())) == [(9, 19), (9, 619), (809, 19), (809, 619)]
    assert choosing._area(frame) == 800 * 600
    assert choosing._density(one) == pytest.approx(0.5)
    beyond = contender(1, placed=np.array([[1.0, 0, 0], [0, 1, 0], [-0.01, 0, 1]]))  # a part is behind the camera
    assert choosing._density(beyond) == 0
    other = choosing._frame(contender(2, width=809, height=619))
    assert choosing._shared(frame, other) == pytest.approx(799.5 * 599.5, rel=1e-3)


def test_the_way_between_two_files_counts_their_working_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_LONGEST_PX", 100)
    noise = np.random.default_rng(1).integers(0, 256, (150, 200, 3)).astype(np.uint8)
    large = saved(tmp_path / "large.png", Image.fromarray(noise))
    small = replace(saved(tmp_path / "small.png", Image.fromarray(noise[:75, :100])), placed=shifted(7, 3))
    choosing._grey.cache_clear()
    way = choosing._way(small, large)  # of which the large one is decoded at half its size
    np.testing.assert_allclose(way @ [0, 0, 1], [7 / 2 - 0.25, 3 / 2 - 0.25, 1])
    np.testing.assert_allclose(np.linalg.inv(choosing._way(large, small)), way)
    choosing._grey.cache_clear()


def test_what_resolves_more_than_the_original_is_not_given_away(photos: Photos, tmp_path: Path) -> None:
    photo = Image.fromarray(photos["coffee"])
    crop = saved(tmp_path / "crop.png", photo.crop((0, 0, 590, 390)))
    soft = saved(tmp_path / "soft.png", photo.resize((300, 200)).resize((600, 400), Image.Resampling.BICUBIC))
    choosing._grey.cache_clear()
    assert choosing._own(crop, replace(soft, id=2), {}) == "resolves more than the original"
    assert choosing._own(replace(soft, id=2), crop, {}) in ("", "resolves more than the original")
    assert choosing._own(crop, replace(soft, id=2), {1: None}) in ("", "differs from the original in places")
    gone = replace(soft, path=str(tmp_path / "gone.png"), format="HEIF")
    assert choosing._own(gone, crop, {}) == NOT_COMPARED
    choosing._grey.cache_clear()


# Whole choices between files


def test_a_file_that_is_there_goes_before_all_that_is_not(photos: Photos, tmp_path: Path) -> None:
    Image.fromarray(photos["coffee"]).save(tmp_path / "a.png")
    there = contender(1, path=str(tmp_path / "a.png"), width=600, height=400)
    assert choose([contender(2, width=6000, height=4000), there]) == Choice(1, "a real file", {})


def chosen(tmp_path: Path, pictures: dict[str, Picture]) -> tuple[str, str]:
    """The original of pictures of which the first is where all lie, and what decided."""
    group = []
    for number, (name, picture) in enumerate(pictures.items()):
        picture.save(tmp_path / name, quality=60)
        kind = "PNG" if name.endswith("png") else "JPEG"
        x, y = (picture.width - 600) / 2, (picture.height - 400) / 2
        group.append(
            contender(
                number, name=name, path=str(tmp_path / name), width=picture.width, height=picture.height,
                placed=np.array([[1.0, 0, -x], [0, 1, -y], [0, 0, 1]]), format=kind,
            )
        )  # fmt: skip
    choice = choose(group)
    assert choose(group[::-1]) == choice
    return group[choice.original].name, choice.by


def test_margins_show_nothing(photos: Photos, tmp_path: Path) -> None:
    photo = Image.fromarray(photos["coffee"])
    margin = Image.new("RGB", (900, 700), (255, 255, 255))
    margin.paste(photo, (150, 150))
    wider = photo.resize((900, 600))
    assert chosen(tmp_path, {"coffee.png": photo, "c.png": margin})[0] == "c.png"  # by its name
    assert chosen(tmp_path, {"c.png": photo, "margin.png": margin}) == ("c.png", "the shortest name")
    assert chosen(tmp_path, {"c.png": wider.crop((150, 100, 750, 500)), "wider.png": wider}) == (
        "wider.png", "shows the most",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "negative", "by"),
    [
        ("sharpened", False, "not enlarged, reduced or sharpened"),
        ("enlarged", False, "not enlarged, reduced or sharpened"),
        ("reduced", False, "most resolved detail"),
        ("blurred", True, "most resolved detail"),
    ],
)
def test_what_was_made_of_another_is_not_the_original(
    photos: Photos, tmp_path: Path, edit: str, negative: bool, by: str
) -> None:
    photo = Image.fromarray(photos["coffee"])
    photo.save(tmp_path / "the source.png")
    edited = EDITS[edit][0](photo)
    (ImageOps.invert(edited) if negative else edited).save(tmp_path / "c.png")
    group = []
    for number, name in enumerate(("the source.png", "c.png")):
        with Image.open(tmp_path / name) as picture:
            width, height = picture.size
        placed = np.diag([600 / width, 400 / height, 1])
        is_negative = negative and number == 1
        one = contender(number, name=name, path=str(tmp_path / name), width=width, height=height, format="PNG")
        group.append(replace(one, placed=placed, negative=is_negative))
    choice = choose(group)
    assert (choice.original, choice.by) == (0, by)


def test_what_compression_took_is_not_in_the_original(photos: Photos, tmp_path: Path) -> None:
    photo = Image.fromarray(photos["coffee"])
    assert chosen(tmp_path, {"the source.png": photo, "c.jpg": photo}) == ("the source.png", "least compressed")
    assert chosen(tmp_path, {"the source.jpg": photo, "c.png": as_jpeg(8)(photo)}) == (
        "the source.jpg", "least compressed",
    )  # fmt: skip
    again = as_jpeg(60)(photo)
    assert chosen(tmp_path, {"c.jpg": photo, "saved anew.png": again})[1] == "the shortest name"


# What is given away must be there in the original


def owned(tmp_path: Path, save: Callable[[Path], object], kind: str = "PNG", **facts: Any) -> str:
    """What a copy has of its own beside coffee.png."""
    save(tmp_path / "copy")
    original = contender(1, path=str(tmp_path / "coffee.png"), width=600, height=400, format="PNG", camera="Canon")
    copy = contender(2, path=str(tmp_path / "copy"), width=600, height=400, format=kind, **facts)
    choice = choose([original, copy])
    assert choice.original == 1
    return choice.own[2]


def test_files_that_hold_more_stay(photos: Photos, tmp_path: Path) -> None:
    photo = Image.fromarray(photos["coffee"])
    photo.convert("L").save(tmp_path / "coffee.png")
    grey, other = photo.convert("L"), Image.fromarray(photos["rocket"]).convert("L")
    assert owned(tmp_path, lambda path: grey.save(path, "PNG", optimize=True)) == ""
    assert owned(tmp_path, lambda path: photo.save(path, "PNG")) == "has colours, which the original has not"
    several = "holds more than one picture"
    for kind in ("TIFF", "GIF", "WEBP"):

        def save(path: Path, kind: str = kind) -> None:
            grey.save(path, kind, save_all=True, append_images=[other.resize(grey.size)])

        assert owned(tmp_path, save, kind) == several
    assert owned(tmp_path, lambda path: grey.save(path, "PNG"), "PSD") == several
    assert owned(tmp_path, lambda path: path.write_bytes(b"no picture")) in (several, NOT_COMPARED)
