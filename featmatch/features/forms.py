"""Other forms of a picture, which show features that the picture itself hides: stretched, enlarged, blurred, sharpened.

Features stand being turned and scaled, but hardly being stretched: a picture that was squeezed, or is seen from the
side, has others. Stretching it again along a few directions brings them back (ASIFT: Morel and Yu, SIAM J. Imaging Sci.
2009; plain first, then more: MODS, Mishkin, Matas and Perdoch, CVIU 2015). Every form is a picture of its own, with the
same bits on every processor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.geometry.exact import cos_sin, inverse, product
from featmatch.geometry.maps import Matrix, project, scaling_matrix
from featmatch.images.pixels import GreyImage, resized
from featmatch.native.difference import laid_parts, softened

# Which forms are tried: a few, all, or none.
Forms: TypeAlias = Literal["few", "all", "none"]
FORMS: tuple[Forms, ...] = ("few", "all", "none")

# Pixels (H, W) uint8 and a width and a height -> the same at that size.
Resize: TypeAlias = Callable[["NDArray[np.uint8]", tuple[int, int]], "NDArray[np.uint8]"]

# Large features outlast blur and noise, and small forms cost little: for the time of two forms of 60,000 px there are
# three of these, and they find more (docs/tried.md).
_SMALLEST_AREA_PX, _SMALL_PX, _THOROUGH_PX, _AREA_PX, _LARGE_PX = 15_000, 30_000, 80_000, 150_000, 600_000
_PROBABLE = 0.01  # one in a hundred queries that are not there has an image of that probability, as it is
_SMALL_QUERY_PX = 20_000  # such a picture has few features; twice as large, it is still smaller than most queries
_LARGE_QUERY_PX = 500_000  # such a picture costs more itself, so that more forms cost no more than it does
_BLURS = 4  # each of a sigma of 1 px: together 2 px
_SMALLEST_PX = 16


@dataclass(frozen=True)
class Form:
    """One way to look at a picture.

    Attributes:
        stretch: how many times longer it is made along one direction; 1 or more.
        towards_deg: that direction, from +x towards +y.
        enlarge: how many times larger it is made at most, where it is small enough; 1 or more.
        filter: what is done to its pixels.
        area_px: of the form, about: a larger picture is scaled down to it, or to ``part`` of its own area.
        part: 1 / part of the area of a picture is the least that is left of it.
        eighths: of the features that are usually taken.
    """

    stretch: float = 1.0
    towards_deg: float = 0.0
    enlarge: float = 1.0
    filter: Literal["none", "blur", "sharpen"] = "none"
    area_px: int = _AREA_PX
    part: int = 4
    eighths: int = 8

    def __str__(self) -> str:
        if self.stretch > 1:
            return f"stretched {self.stretch:g} times along {self.towards_deg:g}°"
        if self.enlarge > 1:
            return "at another size"
        return {"none": "at a smaller size", "blur": "blurred", "sharpen": "sharpened"}[self.filter]

    def of(self, grey: GreyImage, resize: Resize = resized) -> SeenForm:
        """A picture in this form; ``resize`` brings its pixels to a width and a height."""
        height, width = grey.pixels.shape
        most = math.sqrt(max(self.area_px, height * width / self.part) / (self.stretch * height * width))
        factor = min(most, self.enlarge)
        size = max(round(width * factor), _SMALLEST_PX), max(round(height * factor), _SMALLEST_PX)
        pixels = grey.pixels if size == (width, height) else resize(grey.pixels, size)
        pixels = _filtered(pixels, self.filter)
        original_from_form = product(grey.original_from_working, scaling_matrix(width / size[0], height / size[1]))
        if self.stretch > 1:
            pixels, unstretched = _stretched(pixels, self.stretch, self.towards_deg)
            original_from_form = product(original_from_form, unstretched)
        height, width = pixels.shape
        picture = GreyImage(np.ascontiguousarray(pixels), width, height, 1.0, 1.0)
        return SeenForm(self, picture, original_from_form)


@dataclass(frozen=True)
class SeenForm:
    """A picture in another form.

    Attributes:
        form: which it is.
        grey: the form, a picture of its own.
        original_from_form: (3, 3) float64, px of the form to px of the original.
    """

    form: Form
    grey: GreyImage
    original_from_form: Matrix


def seen_in(grey: GreyImage, forms: Iterable[Form]) -> Iterator[SeenForm]:
    """A picture in several forms, in turn; where these have one size, it is brought to it once."""
    at_size: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def once(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        if size not in at_size:
            at_size[size] = resized(pixels, size)
        return at_size[size]

    return (form.of(grey, once) for form in forms)


class Round(NamedTuple):
    """Forms that are tried together, if what came before proves nothing.

    Attributes:
        forms: all of which are tried.
        from_probability: of the likeliest image so far; where none has it, the round is passed over.
        from_px: area of the picture; a smaller one is not looked at in these forms.
        below_px: the same; only smaller ones are.
    """

    forms: tuple[Form, ...]
    from_probability: float = 0.0
    from_px: int = 0
    below_px: float = math.inf

    def is_for(self, picture: GreyImage, probability: float) -> bool:
        """Whether it is tried with a picture, of which an image is so probable already."""
        return probability >= self.from_probability and self.from_px <= picture.pixels.size < self.below_px

    def of_part(self) -> Round:
        """The same for a part of a design, where a photo may be squeezed to fit, however small it is."""
        return self._replace(from_px=0) if self.from_px <= _SMALL_QUERY_PX else self


_ALONG = (0.0, 90.0, 45.0, 135.0)
_FEW = (
    Form(1.6, 90, area_px=_SMALL_PX, part=9, eighths=3), Form(1.6, 0, area_px=_SMALL_PX, part=9, eighths=3),
    Form(area_px=_SMALLEST_AREA_PX, part=16, eighths=3),
)  # fmt: skip
_FEW_OF_SMALL = (Form(enlarge=2, area_px=_LARGE_PX, eighths=3),)
_FEW_OF_LARGE = (
    Form(1.6, 90, area_px=_SMALL_PX, part=9, eighths=5), Form(1.6, 0, area_px=_SMALL_PX, part=9, eighths=5),
)  # fmt: skip
_MORE_OF_LARGE = (
    Form(1.6, 45, area_px=_SMALL_PX, part=9, eighths=5), Form(1.6, 135, area_px=_SMALL_PX, part=9, eighths=5),
    Form(area_px=_SMALL_PX, part=9, eighths=5),
)  # fmt: skip
_THE_SAME = (
    Form(1.6, 90, area_px=_THOROUGH_PX), Form(1.6, 0, area_px=_THOROUGH_PX),
    Form(area_px=_SMALLEST_AREA_PX, part=16),
)  # fmt: skip
_MORE = (
    *(Form(stretch, towards) for stretch in (1.6, 2.4) for towards in _ALONG),
    Form(enlarge=2, area_px=_LARGE_PX), Form(filter="blur"), Form(filter="sharpen"),
)  # fmt: skip

_FROM_ASIDE = tuple(Form(4.0, step * 22.5) for step in range(8))


def forms_of(forms: Forms) -> tuple[Round, ...]:
    """The forms of that name, in rounds: each is tried if those before have proven nothing.

    The few cost about as much as the query itself. What is left is tried where an image stands out, which hardly any
    does where a query is not there.

    Raises:
        UsageError: there is no such name.
    """
    if forms not in FORMS:
        raise UsageError(f"forms is one of {', '.join(FORMS)}, not {forms!r:.40}")
    few = (
        Round(_FEW_OF_SMALL, below_px=_SMALL_QUERY_PX),
        Round(_FEW, from_px=_SMALL_QUERY_PX, below_px=_LARGE_QUERY_PX),
        Round(_FEW_OF_LARGE, from_px=_LARGE_QUERY_PX), Round(_MORE_OF_LARGE, from_px=_LARGE_QUERY_PX),
        Round(_MORE, from_probability=_PROBABLE),
    )  # fmt: skip
    return {"few": few, "all": (Round(_THE_SAME), Round(_MORE)), "none": ()}[forms]


def forms_to_verify(forms: Forms) -> tuple[Round, ...]:
    """The same for two pictures, of which more can be tried: "all" reach to pictures seen from far aside.

    Raises:
        UsageError: there is no such name.
    """
    return (*forms_of(forms), Round(_FROM_ASIDE)) if forms == "all" else forms_of(forms)


def _filtered(pixels: NDArray[np.uint8], filter_: str) -> NDArray[np.uint8]:
    if filter_ == "blur":
        for _ in range(_BLURS):
            pixels = _from_eighths(softened(pixels))
    elif filter_ == "sharpen":
        wide = pixels.astype(np.int16)
        pixels = np.clip(3 * wide - 2 * _from_eighths(softened(pixels)), 0, 255).astype(np.uint8)
    return pixels


def _stretched(pixels: NDArray[np.uint8], stretch: float, towards_deg: float) -> tuple[NDArray[np.uint8], Matrix]:
    """A picture stretched along a direction, black around it, and the map back: (3, 3), px to px."""
    height, width = pixels.shape
    x, y = (float(one) for one in cos_sin(math.radians(towards_deg)))
    longer = stretch - 1
    linear = np.array([[1 + longer * x * x, longer * x * y, 0], [longer * x * y, 1 + longer * y * y, 0], [0, 0, 1]])
    corners = project(linear, np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5)
    low = corners.min(axis=0)
    columns, rows = np.ceil(corners.max(axis=0) - low - 1e-6).astype(int).tolist()
    linear[:2, 2] = -0.5 - low
    back = inverse(linear)
    nowhere = np.zeros((1, 2), np.int64)
    seen, _ = laid_parts((pixels.astype(np.int16) - 128) * 8, back, nowhere, (rows, columns))
    return _from_eighths(seen[0]), back


def _from_eighths(soft: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Eighths of a grey level, 0 at the middle of the range, to grey levels."""
    return np.asarray(np.clip((soft + (128 * 8 + 4)) >> 3, 0, 255), np.uint8)
