"""Which image of a group is the original, and whether all of a copy is there in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch import Index, Vocabulary
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
