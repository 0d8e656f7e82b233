"""Names of pictures of canvases: told apart from all others, and the addresses of regions that they lead to."""

from __future__ import annotations

import pytest

from featmatch.errors import ImageError
from featmatch.images.iiif_names import CanvasPicture, key_of

WHOLE = "https://a.org/iiif/x%2Fy/full/max/0/default.jpg"
CANVAS = "https://a.org/canvas/1?x=1&y=2"


@pytest.mark.parametrize("has_regions", [True, False])
@pytest.mark.parametrize("label", ["", "f. 1r", "a&whole&label=b#page=3", "ふぉりお 1"])
def test_a_name_tells_all_of_it(label: str, has_regions: bool) -> None:
    picture = CanvasPicture(WHOLE, CANVAS, label, has_regions)
    assert CanvasPicture.of_name(picture.name) == picture


def test_labels_are_kept_harmless_and_short() -> None:
    name = CanvasPicture(WHOLE, CANVAS, "<b>\x1b[2J\n\u202e" + "x" * 999).name
    assert name.startswith(f"{WHOLE}#canvas={CANVAS}&label=<b> [2J xxx")
    assert len(name) == len(f"{WHOLE}#canvas={CANVAS}&label=") + 200


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg", "a#canvas=https://a.org/c&label=", f"javascript:alert(1)#canvas={CANVAS}&label=",
        f"{WHOLE}#canvas=javascript:alert(1)&label=", f"{WHOLE}#canvas={CANVAS}", f"file:///etc/x#canvas={CANVAS}&label=",
    ],
)  # fmt: skip
def test_other_names_are_none(name: str) -> None:
    assert CanvasPicture.of_name(name) is None


@pytest.mark.parametrize("address", ["", "javascript:alert(1)", "/etc/passwd", "http://a.org/\n", "http://a.org/#b"])
def test_addresses_are_of_http_only(address: str) -> None:
    with pytest.raises(ImageError):
        CanvasPicture(address, CANVAS)
    with pytest.raises(ImageError):
        CanvasPicture(WHOLE, address + "&label=")


@pytest.mark.parametrize("end", ["&whole", "&label=", "&label=x"])
def test_no_canvas_says_what_a_name_says_behind_it(end: str) -> None:
    with pytest.raises(ImageError):
        CanvasPicture(WHOLE, CANVAS + end)


@pytest.mark.parametrize(
    ("polygon", "box"),
    [
        ([(-0.5, -0.5), (99.5, -0.5), (99.5, 49.5), (-0.5, 49.5)], "0,0,100,50"),
        ([(9.5, 19.5), (29.5, 19.5), (29.5, 39.5)], "10,20,20,20"),
        ([(9.6, 19.4), (29.4, 19.6), (29.4, 39.6)], "10,19,20,22"),
        ([(-70, -9), (1000, 20), (3, 900)], "0,0,100,50"),
        ([(300, 300), (301, 301), (300, 301)], "99,49,1,1"),
        ([(-30, -30), (-30, -31), (-31, -31)], "0,0,1,1"),
    ],
)
def test_the_region_is_the_box_in_whole_pixels(polygon: list[tuple[float, float]], box: str) -> None:
    region = CanvasPicture(WHOLE, CANVAS).region(polygon, (100, 50))
    assert region == f"https://a.org/iiif/x%2Fy/{box}/max/0/default.jpg"


def test_regions_are_asked_for_as_the_service_knows_them() -> None:
    square = [(0.0, 0.0), (9.0, 0.0), (9.0, 9.0)]
    old = CanvasPicture("http://a.org/x/full/full/0/native.jpg", CANVAS)
    assert old.region(square, (100, 50)) == "http://a.org/x/0,0,10,10/full/0/native.jpg"
    assert CanvasPicture(WHOLE, CANVAS, has_regions=False).region(square, (100, 50)) is None
    assert CanvasPicture("https://a.org/a.jpg", CANVAS).region(square, (100, 50)) is None
    assert CanvasPicture("https://a.org/x/full/600,/0/default.jpg", CANVAS).region(square, (100, 50)) is None


def test_a_picture_is_the_same_in_whatever_size_it_was_had() -> None:
    small = CanvasPicture("https://a.org/iiif/x%2Fy/full/600,400/0/default.jpg", CANVAS, "other label", False)
    assert small.key == CanvasPicture(WHOLE, CANVAS).key == key_of(CANVAS, "https://a.org/iiif/x%2Fy")
