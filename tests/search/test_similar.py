"""Ranking by one look of the whole picture, in an order that each look must give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from featmatch import Index, Vocabulary
from featmatch.errors import ImageError, UsageError


@pytest.fixture(scope="module")
def edited(photos: dict[str, NDArray[np.uint8]]) -> dict[str, Image.Image]:
    """A photo, smaller, in other colours, with its quarters swapped, and turned; and another photo."""
    photo = Image.fromarray(photos["coffee"]).resize((480, 320))
    quarters = Image.fromarray(np.roll(np.asarray(photo), (160, 240), (0, 1)))
    red, green, blue = photo.split()
    return {
        "same": photo, "small": photo.resize((240, 160)), "colours": Image.merge("RGB", (blue, red, green)),
        "moved": quarters, "turned": photo.rotate(90, expand=True), "other": Image.fromarray(photos["rocket"]),
    }  # fmt: skip


@pytest.fixture(scope="module")
def index(
    edited: dict[str, Image.Image], tiny_vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory
) -> Index:
    index = Index.open(tmp_path_factory.mktemp("similar") / "i.fm", create=True, vocabulary=tiny_vocabulary)
    index.add_images([(name, picture) for name, picture in edited.items() if name != "moved"], jobs=1)
    index.add_images([("moved", edited["moved"]), ("gone", edited["same"].resize((300, 200)))], jobs=1)
    index.remove(["gone"])
    return index


def ranked(index: Index, image: Any, **more: Any) -> dict[str, float]:
    return {one.name: one.distance for one in index.similar(image, **more)}


def test_hashes_tell_arrangements(index: Index, edited: dict[str, Image.Image]) -> None:
    found = ranked(index, edited["same"])
    assert list(found)[:2] == ["same", "small"]
    assert set(found) == {*edited}
    assert (found["same"], found["small"] <= 6) == (0, True)
    assert min(found["other"], found["turned"]) > 12
    assert all(float(far).is_integer() for far in found.values())


def test_colours_tell_colours_wherever_they_are(index: Index, edited: dict[str, Image.Image]) -> None:
    found = ranked(index, edited["same"], by="colour")
    assert found["same"] == 0
    assert max(found["moved"], found["turned"], found["small"]) < 0.1
    assert min(found["colours"], found["other"]) > 0.2
    assert all(0 <= far <= 1 for far in found.values())


def test_layouts_tell_where_it_is_light(index: Index, edited: dict[str, Image.Image]) -> None:
    found = ranked(index, edited["same"], by="layout")
    assert found["same"] == pytest.approx(0, abs=1e-12)
    assert found["small"] < 0.1
    assert found["colours"] < min(found["moved"], found["turned"], found["other"])
    assert ranked(index, ImageOps.invert(edited["same"]), by="layout")["same"] > 1.5


def test_the_limit_takes_the_nearest_and_equals_by_name(index: Index, edited: dict[str, Image.Image]) -> None:
    assert len(ranked(index, edited["same"], limit=3)) == 3  # what was removed takes no place
    for by in ("phash", "colour", "layout"):
        everything = list(ranked(index, edited["other"], by=by, limit=100))
        assert [list(ranked(index, edited["other"], by=by, limit=count)) for count in (1, 3)] == [
            everything[:1], everything[:3],
        ]  # fmt: skip


def test_all_names_of_an_image_are_told_and_an_empty_index_has_none(
    tiny_vocabulary: Vocabulary, edited: dict[str, Image.Image], tmp_path: Path
) -> None:
    index = Index.open(tmp_path / "i.fm", create=True, vocabulary=tiny_vocabulary)
    assert index.similar(edited["same"]) == []
    index.add_images([("b", edited["same"]), ("a", edited["same"]), ("c", edited["other"])], jobs=1)
    assert list(ranked(index, edited["same"], limit=2)) == ["a", "b"]


def test_what_cannot_be_meant_is_refused(index: Index, edited: dict[str, Image.Image], tmp_path: Path) -> None:
    for wrong in ({"by": "smell"}, {"by": None}, {"limit": 0}):
        with pytest.raises(UsageError):
            ranked(index, edited["same"], **wrong)
    with pytest.raises(ImageError):
        index.similar(tmp_path / "none.jpg")
