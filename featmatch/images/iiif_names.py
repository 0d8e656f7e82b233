"""Names of pictures from IIIF: where the whole picture is, which canvas it is painted on, and what that is called."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from featmatch.errors import ImageError
from featmatch.names import is_address, single_line

_MOST_CHARACTERS = 200  # of a label
_MOST_OF_ADDRESSES = 3500  # characters: with the label it makes a name
_NAME = re.compile(r"([^#]+)#canvas=(.+?)(&whole)?&label=(.*)", re.DOTALL)
_ENDS_CANVAS = re.compile("&label=|&whole$")  # in a name
_REQUEST = re.compile(r"(.+)/full/([^/]+)/0/((?:default|native)\.jpg)")


@dataclass(frozen=True)
class CanvasPicture:
    """A picture that is painted on a canvas.

    Attributes:
        address: of the whole picture at its full resolution.
        canvas: the id of the canvas, which is an address.
        label: what the canvas is called; may be empty.
        has_regions: whether the service at the address gives any part of the picture.
    """

    address: str
    canvas: str
    label: str = ""
    has_regions: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be told apart in a name, or leads elsewhere than to http and https.

        Raises:
            ImageError: an address is none.
        """
        if not is_address(self.address) or not self.address.isprintable() or "#" in self.address:
            raise ImageError("not_found", "its picture has no http or https address")
        if not is_address(self.canvas) or not self.canvas.isprintable() or _ENDS_CANVAS.search(self.canvas):
            raise ImageError("not_found", "its canvas has no http or https address")
        if len(self.address) + len(self.canvas) > _MOST_OF_ADDRESSES:
            raise ImageError("not_found", "the addresses of its picture and canvas are too long")

    @property
    def name(self) -> str:
        """What the picture is called in an index.

        >>> CanvasPicture("https://a.org/1/full/max/0/default.jpg", "https://a.org/c/1", "f. 1r").name
        'https://a.org/1/full/max/0/default.jpg#canvas=https://a.org/c/1&label=f. 1r'
        """
        label = single_line(self.label)[:_MOST_CHARACTERS]
        return f"{self.address}#canvas={self.canvas}{'' if self.has_regions else '&whole'}&label={label}"

    @classmethod
    def of_name(cls, name: str) -> CanvasPicture | None:
        """The picture that such a name is of; None for every other name."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        try:
            return cls(found[1], found[2], found[4], not found[3])
        except ImageError:
            return None

    @property
    def key(self) -> tuple[str, str]:
        """What tells the picture from others, whatever it is called and in whatever size it was had."""
        return key_of(self.canvas, self.address)

    def region(self, polygon: Iterable[Sequence[float]], size: tuple[int, int]) -> str | None:
        """The address of the upright box around a polygon, at full resolution; None where the service gives no parts.

        Args:
            polygon: x and y of its corners, px of the whole picture.
            size: width and height of that.
        """
        request = _REQUEST.fullmatch(self.address)
        if request is None or request[2] not in ("full", "max") or not self.has_regions:
            return None
        columns, rows = zip(*polygon, strict=True)
        left, width = _span(columns, size[0])
        top, height = _span(rows, size[1])
        return f"{request[1]}/{left},{top},{width},{height}/{request[2]}/0/{request[3]}"


def key_of(canvas: str, address: str) -> tuple[str, str]:
    """``CanvasPicture.key``, by the id of the canvas and any address of the picture, or that of its service."""
    request = _REQUEST.fullmatch(address)
    return canvas, request[1] if request else address


def _span(places: Iterable[float], side: int) -> tuple[int, int]:
    """The first px of a side that some places need, and how many; the centre of the first is 0."""
    places = list(places)
    first = min(max(math.floor(min(places) + 0.5), 0), side - 1)
    last = min(max(math.ceil(max(places) + 0.5), first + 1), side)
    return first, last - first
