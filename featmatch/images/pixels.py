"""Image files and arrays -> grey pixels at the working size.

Coordinates, everywhere in featmatch: x to the right, y down, in pixels of the picture *as displayed* (EXIF
orientation applied); the centre of the top-left pixel is (0, 0), so resizing by s maps x to (x + 0.5) s - 0.5.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image, ImageChops

from featmatch.errors import ImageError
from featmatch.images.damage import load, rows_that_came
from featmatch.images.decoding import USUAL, DecodingOptions, decode_apart, decode_each
from featmatch.images.rasters import masked, narrowed
from featmatch.images.sources import ImageSource, open_image

if TYPE_CHECKING:  # the processes that decode do without NumPy and OpenCV where they can: they start in half the time
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["GreyImage", "ImageSource", "load_display", "load_each", "load_grey"]

_LARGE_PIXELS = 1 << 25  # larger pictures are resized in the process that decodes them, others by the caller
_STRIP_PIXELS = 1 << 24  # converted at a time, so that a large picture needs memory for little more than itself
_POINTS = 64  # along each side: colours are read from as many points of a picture

_ORIENTATION_TAG = 0x0112
_TURN_FOR_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPING_TURNS = frozenset(_TURN_FOR_ORIENTATION[orientation] for orientation in (5, 6, 7, 8))
# Turns after which x (or y) runs against the axis of the stored picture that it comes from.
_TURNS_OF_X = frozenset(_TURN_FOR_ORIENTATION[orientation] for orientation in (2, 3, 6, 7))
_TURNS_OF_Y = frozenset(_TURN_FOR_ORIENTATION[orientation] for orientation in (3, 4, 7, 8))


@dataclass(frozen=True)
class GreyImage:
    """Grey pixels at the working size, and the way back to the original.

    Attributes:
        pixels: (h, w) uint8, the working picture.
        width: of the original as displayed, px.
        height: of the original as displayed, px.
        scale_x: original px for each working px, along x.
        scale_y: the same along y.
        offset_x: original px by which the working picture begins to the right of the original.
        offset_y: the same downwards.
        colours: (64, 64, 3) uint8 RGB, points spread evenly over the picture; None where they were not asked for.
        damaged: the file is cut short. ``pixels`` and ``colours`` show what could be decoded, ``width`` and ``height``
            are those of the whole picture.
        is_stored: it is the small picture that an index keeps of its file: what is small in that is not in it.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    scale_x: float
    scale_y: float
    offset_x: float = 0.0
    offset_y: float = 0.0
    colours: NDArray[np.uint8] | None = None
    damaged: bool = False
    is_stored: bool = False

    @property
    def original_from_working(self) -> NDArray[np.float64]:
        """(3, 3) float64: maps working px to px of the original."""
        from featmatch.geometry.maps import scaling_matrix

        return scaling_matrix(self.scale_x, self.scale_y, (self.offset_x, self.offset_y))

    def reduced_from(self, width: int, height: int) -> GreyImage:
        """The same, where the file is a reduced copy of an original of this size, px, as displayed.

        Raises:
            ImageError: that has another shape.
        """
        along_x, along_y = width / self.width, height / self.height
        if abs(self.width * along_y - width) > 2 * max(along_x, along_y):
            raise ImageError("decode_failed", f"no copy of a picture of {width} x {height} px: it has another shape")
        return replace(
            self, width=width, height=height, scale_x=self.scale_x * along_x, scale_y=self.scale_y * along_y,
            offset_x=self.offset_x * along_x, offset_y=self.offset_y * along_y,
        )  # fmt: skip

    def to_original(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map working coordinates to original ones.

        Args:
            points: (N, 2) float32, x then y, working px.

        Returns:
            (N, 2) float32, px of the original.
        """
        import numpy as np

        offset = np.array([self.offset_x, self.offset_y]) - 0.5
        return np.asarray((points + 0.5) * [self.scale_x, self.scale_y] + offset, np.float32)


@dataclass(frozen=True)
class _Decoded:
    """A picture at the size at which it was decoded; other fields as in ``GreyImage``.

    Attributes:
        grey: of mode L.
        size: width and height that ``grey`` shows, px of the original, not rounded: a reduced JPEG may show more.
        points: 64 x 64 of mode RGB.
    """

    grey: Image.Image
    size: tuple[float, float]
    width: int
    height: int
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float
    points: Image.Image | None
    damaged: bool

    def at_working_size(self, longest_px: int, shortest_px: int) -> GreyImage:
        import numpy as np

        pixels = np.array(self.grey)
        long_side = max(self.width, self.height)
        target = min(max(long_side, shortest_px), longest_px) / long_side
        width, height = (max(1, round(side * target)) for side in self.size)
        if (width, height) != self.grey.size:
            pixels = resized(pixels, (width, height))
        return GreyImage(
            pixels, self.width, self.height,
            self.scale_x * self.grey.width / width, self.scale_y * self.grey.height / height,
            self.offset_x, self.offset_y, None if self.points is None else np.array(self.points), self.damaged,
        )  # fmt: skip


def resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a picture, (H, W) uint8, to a width and height, px."""
    import cv2
    import numpy as np

    from featmatch.system.opencv import without_ipp

    interpolation = cv2.INTER_AREA if size[0] < pixels.shape[1] else cv2.INTER_CUBIC
    with without_ipp():
        return np.asarray(cv2.resize(pixels, size, interpolation=interpolation), np.uint8)


def load_grey(
    source: ImageSource,
    *,
    longest_px: int,
    shortest_px: int = 0,
    colours: bool = False,
    decoding: DecodingOptions = USUAL,
) -> GreyImage:
    """Decode an image, turn it upright and bring it to the working size.

    Files and their bytes are decoded in a process of their own.

    Args:
        source: a path, the bytes of a file, an array (H, W), (H, W, 3) RGB or (H, W, 4) RGBA uint8, or a PIL image.
        longest_px: a picture with a longer side above this is scaled down to it.
        shortest_px: a picture with a longer side below this is scaled up to it.
        colours: read the colours as well.
        decoding: what it may cost.

    Raises:
        ImageError: the picture cannot be read within its bounds; its ``status`` says why.
        UsageError: ``source`` is of no type or shape that is an image.
    """
    decoded = decode_apart(_decode_grey, source, longest_px, shortest_px, colours, options=decoding)
    return decoded if isinstance(decoded, GreyImage) else decoded.at_working_size(longest_px, shortest_px)


def load_each(
    sources: Iterable[ImageSource],
    *,
    longest_px: int,
    shortest_px: int = 0,
    colours: bool = False,
    decoding: DecodingOptions = USUAL,
) -> Generator[tuple[ImageSource, GreyImage | ImageError], None, None]:
    """``load_grey`` of many, one after the other: while the caller is busy with one, the next is decoded.

    Yields:
        Each source with its picture, or with the error that says why there is none.

    Raises:
        UsageError: a source is of no type or shape that is an image.
    """
    each = decode_each(_decode_grey, sources, longest_px, shortest_px, colours, options=decoding)
    with contextlib.closing(each):
        for source, decoded in each:
            yield source, decoded.at_working_size(longest_px, shortest_px) if isinstance(decoded, _Decoded) else decoded


def load_display(
    source: ImageSource, *, longest_px: int | None = None, decoding: DecodingOptions = USUAL
) -> NDArray[np.uint8]:
    """Decode an image to be shown: (H, W, 3) uint8 RGB, upright. Process and bounds are as in ``load_grey``.

    Args:
        source: a path, bytes, an array (H, W), (H, W, 3) or (H, W, 4) uint8, or a PIL image.
        longest_px: a picture with a longer side above this is scaled down to it; None: at full size.
        decoding: what it may cost.

    Raises:
        ImageError: the picture cannot be read within its bounds.
        UsageError: ``source`` is of no type or shape that is an image.
    """
    return decode_apart(_decode_display, source, longest_px, options=decoding)


def _decode_display(source: ImageSource, longest_px: int | None, decoding: DecodingOptions) -> NDArray[np.uint8]:
    import numpy as np

    with open_image(source, decoding.max_pixels) as image:
        if longest_px is not None:
            image.draft(None, (2 * longest_px, 2 * longest_px))  # JPEG only; never below what is wanted
        load(image)
        upright, _ = _upright(image)
        shown = _without_excess(upright).convert("RGB")
    if longest_px is not None:
        shown.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    return np.array(shown)


def _decode_grey(
    source: ImageSource, longest_px: int, shortest_px: int, colours: bool, decoding: DecodingOptions
) -> _Decoded | GreyImage:
    decoded = _decode(source, longest_px, colours, decoding)
    large = decoded.grey.width * decoded.grey.height > _LARGE_PIXELS
    return decoded.at_working_size(longest_px, shortest_px) if large else decoded


def _decode(source: ImageSource, longest_px: int, colours: bool, decoding: DecodingOptions) -> _Decoded:
    with open_image(source, decoding.max_pixels) as image:
        width, height = image.size
        # JPEG can be decoded at 1/2, 1/4 or 1/8 of its size for a fraction of the time; never below the working size.
        shrink = longest_px / max(width, height)
        size = (max(1, int(width * shrink)), max(1, int(height * shrink)))
        mode = "YCbCr" if colours else "L"  # Y is the same as L
        drafted = image.draft(mode, size) if shrink < 1 and image.format in ("JPEG", "MPO") else None
        damaged = load(image)  # Pillow turns TIFF files upright by itself here
        rows = rows_that_came(_to_grey(image), image.format) if damaged else (0, image.height)
        stored_size = image.size
        upright, turn = _upright(image)
        if drafted is None:
            width, height = image.size
        scale_x, scale_y = (width / drafted[1][2], height / drafted[1][3]) if drafted else (1.0, 1.0)
        # The last column of a reduced JPEG is only partly picture; a turn can make it the first.
        excess_x, excess_y = width - scale_x * image.width, height - scale_y * image.height
        box = _turned(rows, stored_size, turn)
        grey = _to_grey(upright).crop(box) if damaged else _to_grey(upright)
        points = _points(upright.crop(box) if damaged else upright) if colours else None
    if turn in _SWAPPING_TURNS:
        width, height, scale_x, scale_y, excess_x, excess_y = height, width, scale_y, scale_x, excess_y, excess_x
    offset_x = excess_x if turn in _TURNS_OF_X else 0.0
    offset_y = excess_y if turn in _TURNS_OF_Y else 0.0
    shown: tuple[float, float] = (width, height)
    if damaged:
        shown = (grey.width * scale_x, grey.height * scale_y)
        offset_x, offset_y = offset_x + box[0] * scale_x, offset_y + box[1] * scale_y
    return _Decoded(grey, shown, width, height, scale_x, scale_y, offset_x, offset_y, points, damaged)


def _turned(rows: tuple[int, int], size: tuple[int, int], turn: Image.Transpose | None) -> tuple[int, int, int, int]:
    """Where rows of a stored picture are in the turned one: left, top, right, bottom."""
    if rows == (0, size[1]):
        return (0, 0, size[1], size[0]) if turn in _SWAPPING_TURNS else (0, 0, *size)
    mask = Image.new("1", size)
    mask.paste(1, (0, rows[0], size[0], rows[1]))
    box = (mask if turn is None else mask.transpose(turn)).getbbox()
    assert box is not None
    return box


def _upright(image: Image.Image) -> tuple[Image.Image, Image.Transpose | None]:
    """The decoded picture as displayed, and the turn that this took."""
    turn = _turn(image)
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        image = ImageChops.invert(image)  # Pillow inverts the inks of every such file, as if it were one of Adobe's
    return (image if turn is None else image.transpose(turn)), turn


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURN_FOR_ORIENTATION.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # damaged metadata is no reason to refuse the picture
        return None


def _points(image: Image.Image) -> Image.Image:
    """64 x 64 single pixels, evenly spread, in RGB."""
    few = image.resize((_POINTS, _POINTS), Image.Resampling.NEAREST)
    return _without_excess(few).convert("RGB")


def _without_excess(image: Image.Image) -> Image.Image:
    """The picture brought to grey, if it has more than eight bits of red, green and blue."""
    if image.mode.startswith(("I", "F")) or image.mode == "LAB" or _is_transparent(image):
        return _to_grey(image)
    return image


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _to_grey(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return narrowed(image)
    rows = max(_STRIP_PIXELS // image.width, 1)
    if image.height <= rows:
        return _strip_to_grey(image)
    grey = Image.new("L", image.size)
    for top in range(0, image.height, rows):
        below = min(top + rows, image.height)
        grey.paste(_strip_to_grey(image.crop((0, top, image.width, below))), (0, top))
    return grey


def _strip_to_grey(image: Image.Image) -> Image.Image:
    if _is_transparent(image):
        rgba = image.convert("RGBA")
        image = Image.new("RGBA", rgba.size, (128, 128, 128, 255))
        image.alpha_composite(rgba)
    elif image.mode == "LAB":
        image = image.getchannel(0)
    elif image.mode == "CMYK":
        image = image.convert("RGB")
    return masked(image) if image.mode == "L" else image.convert("L")
