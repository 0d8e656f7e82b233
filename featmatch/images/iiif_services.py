"""What an IIIF Image API service says of a picture (info.json) -> where that can be had in the size that is wanted."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from featmatch.errors import ImageError
from featmatch.images.iiif_manifests import Painted, Service, is_length, level_of, size_of
from featmatch.images.iiif_names import CanvasPicture

MOST_INFO_BYTES = 1 << 20
_VERSION = re.compile(r"image(?:-api)?/([123])")


@dataclass(frozen=True)
class Info:
    """A picture, as its service tells of it.

    Attributes:
        service: with the version and level that it says itself.
        size: width and height of the whole picture, px.
        sizes: in which it is there already: width and height, px.
        most: width, height and area that one request may have at most, px.
    """

    service: Service
    size: tuple[int, int]
    sizes: tuple[tuple[int, int], ...] = ()
    most: tuple[float, float, float] = (math.inf, math.inf, math.inf)

    def whole(self, painted: Painted) -> CanvasPicture:
        """The picture at its full resolution, or at the largest that there is."""
        has_regions = self.service.level > 0
        largest = self.size if has_regions else max(self.sizes, default=self.size)
        return CanvasPicture(self._address(largest), painted.canvas, painted.label, has_regions)

    def request_for(self, longest_px: int) -> str:
        """The address of the picture in the size to work at.

        Args:
            longest_px: the longer side of that; what is smaller is asked for as it is.
        """
        width, height = self.size
        if not self.service.level:
            wanted = min(longest_px, max(self.size))
            enough = [size for size in self.sizes if max(size) >= wanted]
            return self._address(min(enough) if enough else max(self.sizes, default=self.size))
        most_width, most_height, most_area = self.most
        scale = min(
            longest_px / max(self.size), most_width / width, most_height / height, math.sqrt(most_area / width / height)
        )
        return self._address(self.size if scale >= 1.0 else (max(math.floor(width * scale), 1), None))

    def _address(self, size: tuple[int, int | None]) -> str:
        """Of the picture in a size, in the spelling that services of level 0 know. Without a height: in proportion."""
        width, height = size
        if size == self.size:
            asked = "max" if self.service.version == 3 else "full"
        else:
            asked = f"{width},{height}" if self.service.version == 3 and height else f"{width},"
        quality = "native" if self.service.version == 1 else "default"
        return f"{self.service.base}/full/{asked}/0/{quality}.jpg"


def read_info(content: bytes, service: Service) -> Info:
    """Read an info.json; what it does not say is as the manifest told.

    Raises:
        ImageError: it is none.
    """
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        told = None
    size = size_of(told) if isinstance(told, dict) else None
    if size is None:
        raise ImageError("decode_failed", "its info.json says nothing of a picture")
    said = f"{told.get('@context')} {told.get('type')} {told.get('profile')}"
    version, level = _VERSION.search(said), level_of(told)
    service = Service(
        service.base, int(version[1]) if version else service.version, service.level if level is None else level
    )
    return Info(service, size, _sizes(told.get("sizes")), _most(told))


def info_without(painted: Painted) -> Info | None:
    """What is known of a picture whose service gives no info.json; None where the manifest says no size either."""
    if painted.service is None or painted.size is None:
        return None
    return Info(painted.service, painted.size)


def _sizes(told: Any) -> tuple[tuple[int, int], ...]:
    sizes = [size_of(one) for one in _listed(told) if isinstance(one, dict)]
    return tuple(size for size in sizes if size is not None)


def _most(told: dict[str, Any]) -> tuple[float, float, float]:
    """The largest width, height and area; version 2 says them in its profile."""
    limits = [one for one in (told, *_listed(told.get("profile"))) if isinstance(one, dict)]

    def most(key: str) -> float:
        return min((one[key] for one in limits if is_length(one.get(key))), default=math.inf)

    width, height = most("maxWidth"), most("maxHeight")
    return width, width if height == math.inf else height, most("maxArea")


def _listed(value: Any) -> list[Any]:
    return value[:1000] if isinstance(value, list) else []
