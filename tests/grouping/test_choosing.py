"""Which image of a group is the original, and whether all of a copy is there in it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from featmatch import Index, Vocabulary
from featmatch.grouping.choosing import NOT_COMPARED, Choice, Contender, choose
from featmatch.grouping.detail import compare_detail
from featmatch.grouping.sameness import difference

Photos = dict[str, NDArray[np.uint8]]
Picture = Image.Image


def resized(factor: float, how: Image.Resampling = Image.Resampling.BICUBIC) -> Callable[[Picture], Picture]:
    return lambda photo: photo.resize((round(photo.width * factor), round(photo.height * factor)), how)


def sharpened(radius: float = 2, percent: int = 150) -> Callable[[Picture], Picture]:
    return lambda photo: photo.filter(ImageFilter.UnsharpMask(radius, percent, 0))


def blurred(sigma: float) -> Callable[[Picture], Picture]:
    return lambda photo: photo.filter(ImageFilter.GaussianBlur(sigma))


def as_jpeg(quality: int) -> Callable[[Picture], Picture]:
    def saved(photo: Picture) -> Picture:
        content = io.BytesIO()
        photo.save(content, "JPEG", quality=quality)
        return Image.open(content).convert(photo.mode)

    return saved


def noisy(photo: Picture) -> Picture:
    noise = np.random.default_rng(1).normal(0, 8, (photo.height, photo.width))
    return Image.fromarray(np.clip(np.asarray(photo) + noise, 0, 255).astype(np.uint8))


# What was done -> whether the photo resolves more than what came of it (1) or the same (0), and whether the other was
# made of it by enlarging, reducing or sharpening (-1) or that is not said (0).
EDITS: dict[str, tuple[Callable[[Picture], Picture], tuple[int, int]]] = {
    "sharpened": (sharpened(), (0, -1)),
    "oversharpened": (sharpened(3, 250), (0, -1)),
    "sharpened beyond all measure": (sharpened(2, 500), (0, -1)),
    "crispened": (lambda photo: photo.filter(ImageFilter.DETAIL), (0, -1)),
    "sharpened a little": (lambda photo: photo.filter(ImageFilter.SHARPEN), (0, -1)),
    "enlarged": (resized(2), (0, -1)),
    "enlarged by Lanczos": (resized(2, Image.Resampling.LANCZOS), (0, -1)),
    "enlarged by half": (resized(1.5), (0, -1)),
    "enlarged and sharpened": (lambda photo: sharpened()(resized(2)(photo)), (0, -1)),
    "reduced": (resized(0.5), (1, -1)),
    "reduced by a quarter": (resized(0.75, Image.Resampling.LANCZOS), (1, -1)),
    "reduced a little": (resized(0.9, Image.Resampling.LANCZOS), (0, -1)),
    "reduced and sharpened": (lambda photo: sharpened()(resized(0.5)(photo)), (1, -1)),
    "reduced and compressed": (lambda photo: as_jpeg(80)(resized(0.4)(photo)), (1, -1)),
    "blurred a little": (blurred(0.7), (0, -1)),
    "blurred": (blurred(1), (1, -1)),
    "blurred much": (blurred(3), (1, -1)),
    "compressed": (as_jpeg(90), (0, 0)),
    "compressed much": (as_jpeg(30), (0, 0)),
    "of more contrast": (lambda photo: ImageEnhance.Contrast(photo).enhance(1.3), (0, 0)),
    "noisy": (noisy, (0, 0)),
}


@pytest.mark.parametrize("name", ["astronaut", "camera", "chelsea", "coffee"])
def test_a_homography_that_is_a_little_off_tells_the_same(photos: Photos, name: str) -> None:
    photo = Image.fromarray(photos[name]).convert("L")
    off = np.array([[1.0005, 0.0003, -0.07], [0.0001, 1.0005, -0.04], [0, 0, 1]])
    source, edited = np.asarray(photo), np.asarray(EDITS["sharpened beyond all measure"][0](photo))
    for way in (np.eye(3), off, np.linalg.inv(off)):
        there, back = compare_detail(source, edited, way), compare_detail(edited, source, way)
        assert there is not None
        assert back is not None
        assert (there.detail, there.made, back.detail, back.made) == (0, -1, 0, 1)


@pytest.mark.parametrize("name", ["astronaut", "camera", "grass"])
@pytest.mark.parametrize("edit", EDITS)
def test_detail_is_what_pixels_resolve(photos: Photos, name: str, edit: str) -> None:
    photo = Image.fromarray(photos[name]).convert("L")
    function, expected = EDITS[edit]
    copy = function(photo)
    x, y = copy.width / photo.width, copy.height / photo.height
    homography = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    off = homography @ np.array([[1.001, 0.0005, 0.6], [0, 0.999, -0.4], [0, 0, 1]])  # as precise as features are
    a, b = np.asarray(photo), np.asarray(copy)
    found = compare_detail(a, b, off)
    back = compare_detail(b, a, np.linalg.inv(off))
    assert found is not None
    assert back is not None
    assert found.detail == expected[0]
    assert found.made in ({0, -1} if edit in ("compressed much", "noisy") else {expected[1]})
    assert back.detail == -found.detail


def test_pictures_that_share_too_little_are_not_compared(photos: Photos) -> None:
    a, b = (np.asarray(Image.fromarray(photos[name]).convert("L")) for name in ("coffee", "rocket"))
    assert compare_detail(a, b, np.array([[1.0, 0, 5000], [0, 1, 0], [0, 0, 1]])) is None
    assert compare_detail(a, b, np.eye(3)) is None
    flat = np.full((300, 300), 90, np.uint8)
    assert compare_detail(flat, flat, np.eye(3)) is None


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


def test_a_file_that_is_there_goes_before_all_that_is_not(photos: Photos, tmp_path: Path) -> None:
    Image.fromarray(photos["coffee"]).save(tmp_path / "a.png")
    there = contender(1, path=str(tmp_path / "a.png"), width=600, height=400)
    assert choose([contender(2, width=6000, height=4000), there]) == Choice(1, "a real file", {})


GROUPED = ("sharpened", "oversharpened", "enlarged", "enlarged by Lanczos", "reduced", "reduced a little", "blurred")


@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_the_source_is_the_original_of_its_edits(
    photos: Photos, tiny_vocabulary: Vocabulary, tmp_path: Path, name: str
) -> None:
    photo = Image.fromarray(photos[name])
    photo.save(tmp_path / "zzz the source.jpg", quality=92)
    for edit in GROUPED:
        EDITS[edit][0](photo).save(tmp_path / f"{edit[:4]}{GROUPED.index(edit)}.jpg", quality=92)
    for quality in (85, 50):
        photo.save(tmp_path / f"q{quality}.jpg", quality=quality)
    index = Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    index.add([tmp_path], jobs=1)
    (group,) = index.groups(jobs=1)
    assert [Path(one).name for one in group.original.names] == ["zzz the source.jpg"]
    assert group.original_by == "least compressed"
    marked = {Path(one).name for one in group.marked}
    assert {"redu4.jpg", "q85.jpg"} <= marked
    assert not marked & {"enla2.jpg", "enla3.jpg"}  # finer, though of no more detail
    for path in tmp_path.glob("*.jpg"):
        path.rename(path.with_suffix(".away"))
    (group,) = index.groups(jobs=1)
    assert Path(group.original.names[0]).name in ("enla2.jpg", "enla3.jpg")  # by what is stored
    assert group.marked == ()


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


def test_what_compression_took_is_not_in_the_original(photos: Photos, tmp_path: Path) -> None:
    photo = Image.fromarray(photos["coffee"])
    assert chosen(tmp_path, {"the source.png": photo, "c.jpg": photo}) == ("the source.png", "least compressed")
    assert chosen(tmp_path, {"the source.jpg": photo, "c.png": as_jpeg(8)(photo)}) == (
        "the source.jpg", "least compressed",
    )  # fmt: skip
    again = as_jpeg(60)(photo)
    assert chosen(tmp_path, {"c.jpg": photo, "saved anew.png": again})[1] == "the shortest name"


# What is given away must be there in the original


def captioned(photo: Picture) -> Picture:
    copy = photo.copy()
    draw = ImageDraw.Draw(copy)
    draw.rectangle((20, 20, 140, 90), fill=(255, 255, 255))
    draw.text((30, 30), "another\nfilling", fill=(0, 0, 0), font_size=28)
    return copy


def framed(photo: Picture) -> Picture:
    canvas = Image.fromarray(np.random.default_rng(2).integers(0, 255, (12, 18, 3)).astype(np.uint8))
    canvas = canvas.resize((photo.width * 3 // 2, photo.height * 3 // 2), Image.Resampling.BICUBIC)
    canvas.paste(photo, (60, 50))
    return canvas


@pytest.mark.parametrize(
    ("edit", "own"),
    [
        (lambda photo: photo, ""),
        (as_jpeg(60), ""),
        (blurred(1.5), ""),
        (sharpened(), ""),
        (captioned, "differs from the original in places"),
        (lambda photo: Image.new("RGB", photo.size, (90, 90, 90)), "differs from the original in places"),
    ],
)
def test_a_copy_is_looked_at_closely(photos: Photos, edit: Callable[[Picture], Picture], own: str) -> None:
    photo = Image.fromarray(photos["coffee"])
    a, b = (np.asarray(one.convert("L")) for one in (edit(photo), photo))
    assert difference(a, b, np.eye(3), negative=False).startswith(own)
    assert bool(difference(a, b, np.eye(3), negative=False)) == bool(own)
    assert bool(difference(255 - a, b, np.eye(3), negative=True)) == bool(own)


def test_plain_pictures_are_not_given_away() -> None:
    plain = np.full((300, 400), 90, np.uint8)
    assert difference(plain, plain, np.eye(3), negative=False).startswith("too plain")


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee"])
def test_a_crop_is_told_from_what_was_pasted_in(photos: Photos, name: str) -> None:
    photo = Image.fromarray(photos[name])
    at = np.array([[1.0, 0, 60], [0, 1, 50], [0, 0, 1]])
    crop = photo.crop((60, 50, 360, 300))
    grey = [np.asarray(one.convert("L")) for one in (photo, crop, framed(crop))]
    assert difference(grey[1], grey[0], at, negative=False) == ""
    assert difference(grey[1], grey[2], at, negative=False) == "pasted into the original"


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


def test_another_filling_of_one_form_is_no_waste(tmp_path: Path) -> None:
    sheets = []
    for filling in ("Ada Lovelace, 12 St James's Square, 1815", "Grace Hopper, 7 Broad Street, New York, 1906"):
        sheet = Image.new("L", (1000, 1300), 250)
        draw = ImageDraw.Draw(sheet)
        for row in range(24):
            draw.text(
                (60, 60 + 50 * row), f"{row + 1}. What is to be entered here is printed on all", fill=0, font_size=22
            )
            draw.line((60, 96 + 50 * row, 940, 96 + 50 * row), fill=120)
        for row in range(12):
            draw.text((560, 60 + 100 * row), filling[row : row + 28], fill=40, font_size=24)
        sheets.append(sheet)
    a, b = (np.asarray(sheet) for sheet in sheets)
    assert difference(a, b, np.eye(3), negative=False) == "differs from the original in places"
    assert difference(np.asarray(as_jpeg(60)(sheets[0])), a, np.eye(3), negative=False) == ""
