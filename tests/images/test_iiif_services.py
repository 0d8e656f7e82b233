"""Which size is asked of an Image API service, and in which words, by its version and level."""

from __future__ import annotations

import json
from typing import Any

import pytest

from featmatch.errors import ImageError
from featmatch.images.iiif_manifests import Painted, Service
from featmatch.images.iiif_services import Info, read_info
from tests.iiif_server import info

BASE = "http://iiif.example/image/a"
SIZES = [{"width": 300, "height": 200}, {"width": 1500, "height": 1000}, {"width": 3000, "height": 2000}]


def told(level: int = 2, version: int = 3, **more: Any) -> Info:
    content = json.dumps(info("a", (6000, 4000), level=level, version=version, **more)).encode()
    return read_info(content, Service(BASE, 2, 1))


def asked(found: Info, longest_px: int = 2000) -> tuple[str, str, bool]:
    painted = Painted("http://a.org/c", "f. 1r", "http://a.org/x.jpg", found.service, None)
    whole = found.whole(painted)
    assert (whole.canvas, whole.label) == ("http://a.org/c", "f. 1r")
    return whole.address.removeprefix(BASE), found.request_for(longest_px).removeprefix(BASE), whole.has_regions


@pytest.mark.parametrize(
    ("level", "version", "more", "whole", "request_", "regions"),
    [
        (2, 3, {}, "max", "2000,", True), (1, 2, {}, "full", "2000,", True),
        (2, 3, {"sizes": SIZES}, "max", "2000,", True),
        (0, 3, {"sizes": SIZES}, "3000,2000", "3000,2000", False), (0, 2, {"sizes": SIZES}, "3000,", "3000,", False),
        (0, 2, {"sizes": SIZES[:2]}, "1500,", "1500,", False), (0, 3, {}, "max", "max", False),
        (0, 2, {"sizes": [*SIZES, {"width": 6000, "height": 4000}]}, "full", "3000,", False),
        (2, 3, {"maxWidth": 1000}, "max", "1000,", True), (2, 3, {"maxArea": 1_500_000}, "max", "1500,", True),
        (2, 3, {"maxHeight": 500, "maxWidth": 9000}, "max", "750,", True),
        (2, 3, {"maxWidth": -1, "maxArea": "x"}, "max", "2000,", True),
    ],
)  # fmt: skip
def test_sizes(level: int, version: int, more: dict[str, Any], whole: str, request_: str, regions: bool) -> None:
    assert asked(told(level, version, **more)) == (
        f"/full/{whole}/0/default.jpg", f"/full/{request_}/0/default.jpg", regions,
    )  # fmt: skip


def test_limits_of_version_2_are_in_its_profile() -> None:
    found = told(version=2, profile=["http://iiif.io/api/image/2/level2.json", {"maxWidth": 1200}, "x"])
    assert asked(found)[1] == "/full/1200,/0/default.jpg"


def test_a_small_picture_is_asked_for_as_it_is() -> None:
    assert asked(told(), 6000)[1] == "/full/max/0/default.jpg"
    for longest_px, width in ((250, 300), (300, 300), (301, 1500)):
        assert asked(told(0, sizes=SIZES), longest_px)[1].startswith(f"/full/{width},")


def test_what_info_does_not_say_is_as_the_manifest_told() -> None:
    found = read_info(b'{"width": 60, "height": 40}', Service(BASE, 1, 0))
    assert found.service == Service(BASE, 1, 0)
    assert asked(found) == ("/full/full/0/native.jpg", "/full/full/0/native.jpg", False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"width": 0, "height": 9}',
        b'{"width": true, "height": 9}',
        b'{"width": 1e9, "height": 9}',
        b"[" * 99_999,
    ],
)
def test_what_is_no_info_is_refused(content: bytes) -> None:
    with pytest.raises(ImageError):
        read_info(content, Service(BASE, 2, 1))


@pytest.mark.parametrize("sizes", [3, "x", [3], [{"width": 3}], [{"width": -1, "height": 2}], {}])
def test_odd_sizes_are_passed_over(sizes: Any) -> None:
    assert told(0, sizes=sizes).sizes == ()
