"""Other forms of a picture, which show features that it hides itself: stretched, enlarged, steadied, sharpened.

Features stand being turned and scaled, but hardly being stretched: a picture that was squeezed, or is seen from the
side, has others. Stretching it again brings them back: along the direction in which it changes the most, and then along
a few more (ASIFT: Morel and Yu, SIAM J. Imaging Sci. 2009; plain first, then more: MODS, Mishkin, Matas and Perdoch,
CVIU 2015). Every form is a picture of its own, with the same bits on every processor.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.features.mapped import from_eighths, mapped
from featmatch.features.motion import Structure, steadied, structure_of
from featmatch.geometry.exact import cos_sin, product
from featmatch.geometry.maps import Matrix, scaling_matrix
from featmatch.images.pixels import GreyImage, resized
from featmatch.native.difference import softened

# Which forms are tried: a few, all, or none.
Forms: TypeAlias = Literal["few", "all", "none"]
FORMS: tuple[Forms, ...] = ("few", "all", "none")

# Large features outlast blur and noise, and small forms cost little. One that is stretched where the picture changes
# the most finds as many as four in fixed directions (docs/tried.md).
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
        towards_deg: that direction, from +x towards +y; None: the one in which the picture changes the most, as what is
            squeezed does.
        enlarge: how many times larger it is made at most, where it is small enough; 1 or more.
        filter: what is done to its pixels; "steady" takes back that it moved.
        area_px: of the form, about: a larger picture is scaled down to it, or to ``part`` of its own area.
        part: 1 / part of the area of a picture is the least that is left of it.
        eighths: of the features that are usually taken.
    """

    stretch: float = 1.0
    towards_deg: float | None = 0.0
    enlarge: float = 1.0
    filter: Literal["none", "blur", "sharpen", "steady"] = "none"
    area_px: int = _AREA_PX
    part: int = 4
    eighths: int = 8

    def __str__(self) -> str:
        if self.stretch > 1:
            towards = "where it changes most" if self.towards_deg is None else f"along {self.towards_deg:g}°"
            return f"stretched {self.stretch:g} times {towards}"
        if self.enlarge > 1:
            return "at another size"
        told = {"none": "at a smaller size", "blur": "blurred", "sharpen": "sharpened", "steady": "without its motion"}
        return told[self.filter]

    def of(self, grey: GreyImage, made: Made | None = None) -> SeenForm | None:
        """A picture in this form; None: it is for pictures that moved, and this one did not.

        Args:
            grey: the picture.
            made: what other forms of it needed.
        """
        made = made or Made(grey.pixels)
        height, width = grey.pixels.shape
        most = math.sqrt(max(self.area_px, height * width / self.part) / (self.stretch * height * width))
        factor = min(most, self.enlarge)
        size = max(round(width * factor), _SMALLEST_PX), max(round(height * factor), _SMALLEST_PX)
        changed = self._changed(made.at(size), made)
        if changed is None:
            return None
        pixels, back = changed
        to_original = product(grey.original_from_working, scaling_matrix(width / size[0], height / size[1]))
        height, width = pixels.shape
        picture = GreyImage(np.ascontiguousarray(pixels), width, height, 1.0, 1.0)
        return SeenForm(self, picture, product(to_original, back))

    def _changed(self, pixels: NDArray[np.uint8], made: Made) -> tuple[NDArray[np.uint8], Matrix] | None:
        """A picture at the size of the form, filtered and stretched, and the map back to that size."""
        if self.filter == "steady":
            return steadied(pixels, made.structure)
        pixels = _filtered(pixels, self.filter)
        return _stretched(pixels, self.stretch, self._towards(made)) if self.stretch > 1 else (pixels, np.eye(3))

    def _towards(self, made: Made) -> tuple[float, float]:
        """The direction in which it is stretched, of length 1."""
        if self.towards_deg is None:
            return made.structure.x, made.structure.y
        x, y = (float(one) for one in cos_sin(math.radians(self.towards_deg)))
        return x, y


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


class Made:
    """What several forms of a picture need, made once.

    Args:
        pixels: (H, W) uint8, the picture.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels = pixels
        self._at_size = {pixels.shape[::-1]: pixels}

    def at(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The picture at a width and height."""
        if size not in self._at_size:
            self._at_size[size] = resized(self._pixels, size)
        return self._at_size[size]

    @functools.cached_property
    def structure(self) -> Structure:
        """How it changes at half its size: less of that is noise, and at a third it tells less (docs/tried.md)."""
        height, width = self._pixels.shape
        return structure_of(self.at((max(width // 2, 1), max(height // 2, 1))))


def seen_in(grey: GreyImage, forms: Iterable[Form]) -> Iterator[SeenForm]:
    """A picture in several forms, in turn, but for those that are not for it."""
    made = Made(grey.pixels)
    seen = (form.of(grey, made) for form in forms)
    return (one for one in seen if one is not None)


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
    Form(1.6, None, area_px=_SMALL_PX, part=9, eighths=3), Form(filter="steady", area_px=_SMALL_PX, part=9, eighths=3),
    Form(area_px=_SMALLEST_AREA_PX, part=16, eighths=3),
)  # fmt: skip
_FEW_OF_SMALL = (Form(enlarge=2, area_px=_LARGE_PX, eighths=3),)
_FEW_OF_LARGE = (
    Form(1.6, None, area_px=_SMALL_PX, part=9, eighths=5), Form(filter="steady", area_px=_SMALL_PX, part=9, eighths=5),
    Form(area_px=_SMALL_PX, part=9, eighths=5),
)  # fmt: skip
_THOROUGH = (
    Form(1.6, None, area_px=_THOROUGH_PX), Form(1.6, 90, area_px=_THOROUGH_PX), Form(1.6, 0, area_px=_THOROUGH_PX),
    Form(filter="steady", area_px=_THOROUGH_PX), Form(area_px=_SMALLEST_AREA_PX, part=16),
)  # fmt: skip
_MORE = (
    Form(2.0, None), *(Form(stretch, towards) for stretch in (1.6, 2.4) for towards in _ALONG),
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
        Round(_FEW_OF_LARGE, from_px=_LARGE_QUERY_PX),
        Round(_MORE, from_probability=_PROBABLE),
    )  # fmt: skip
    return {"few": few, "all": (Round(_THOROUGH), Round(_MORE)), "none": ()}[forms]


def forms_to_verify(forms: Forms) -> tuple[Round, ...]:
    """The same for two pictures, of which more can be tried: "all" reach to pictures seen from far aside.

    Raises:
        UsageError: there is no such name.
    """
    return (*forms_of(forms), Round(_FROM_ASIDE)) if forms == "all" else forms_of(forms)


def _filtered(pixels: NDArray[np.uint8], filter_: str) -> NDArray[np.uint8]:
    if filter_ == "blur":
        for _ in range(_BLURS):
            pixels = from_eighths(softened(pixels))
    elif filter_ == "sharpen":
        wide = pixels.astype(np.int16)
        pixels = np.clip(3 * wide - 2 * from_eighths(softened(pixels)), 0, 255).astype(np.uint8)
    return pixels


def _stretched(
    pixels: NDArray[np.uint8], stretch: float, towards: tuple[float, float]
) -> tuple[NDArray[np.uint8], Matrix]:
    """A picture stretched along a direction, black around it, and the map back: (3, 3), px to px."""
    (x, y), longer = towards, stretch - 1
    seen = mapped(pixels, np.array([[1 + longer * x * x, longer * x * y], [longer * x * y, 1 + longer * y * y]]))
    return seen.pixels, seen.back
