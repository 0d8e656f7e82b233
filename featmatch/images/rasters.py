"""Pictures of 16 or 32 bits, or of floats -> 8 bits of grey, by the range of their data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NO_DATA_GREY = 128
_ABSURD = 1e30  # no measurement is as large; 1e38 and the lowest float are common marks for "no data"
_CONVENTIONS = (-32767.0, -32768.0, -9999.0, -99999.0)  # marks for "no data", where they lie apart from all else
_STRIP_PIXELS = 1 << 24  # converted at once, so that a large picture needs memory for little more than itself


def narrowed(image: Image.Image) -> Image.Image:
    """Bring pixels to 8 bits, by a shift (whole numbers) or a factor (floats) that fits the brightest.

    Pixels without data become one grey. These have the value that the file names (``image.info["no_data"]``), are not
    finite or absurdly large, or have the lowest value, if that is a usual mark and lies apart from all others.
    """
    import numpy as np

    values = np.asarray(image)
    rows = max(_STRIP_PIXELS // values.shape[1], 1)
    strips = [slice(top, top + rows) for top in range(0, len(values), rows)]
    stated = image.info.get("no_data")
    low, high = _range(values, strips, stated)
    lowest_data = _above_gap(values, strips, stated, low, high)
    grey = np.empty(values.shape, np.uint8)
    is_whole = np.issubdtype(values.dtype, np.integer)
    shift = max(max(int(high), 0).bit_length() - 8, 0) if is_whole else 0
    for strip in strips:
        part = values[strip]
        data = _is_data(part, stated) & (part >= lowest_data)
        if is_whole:
            narrow = np.clip(part, 0, max(int(high), 0)) >> shift
        else:
            kept = np.where(data, part, lowest_data).astype(np.float64)
            narrow = (kept - lowest_data) * (255.0 / max(high - lowest_data, 1e-12))
        grey[strip] = np.where(data, narrow, _NO_DATA_GREY)
    return Image.fromarray(grey)


def masked(image: Image.Image) -> Image.Image:
    """A picture of mode L, with one grey for the pixels of which its file says that they have no data."""
    stated = image.info.get("no_data")
    if stated is None:
        return image
    return image.point([_NO_DATA_GREY if value == stated else value for value in range(256)])


def _is_data(values: NDArray[Any], stated: float | None) -> NDArray[np.bool_]:
    import numpy as np

    data = np.ones(values.shape, bool)
    if values.dtype.kind == "f":
        data &= np.abs(values) < _ABSURD  # false of what is not a number
    if stated is not None:
        data &= values != values.dtype.type(stated) if _fits(values, stated) else True
    return data


def _fits(values: NDArray[Any], stated: float) -> bool:
    import numpy as np

    if values.dtype.kind == "f":
        return True
    limits = np.iinfo(values.dtype)
    return limits.min <= stated <= limits.max


def _range(
    values: NDArray[Any], strips: list[slice], stated: float | None, above: float = -float("inf")
) -> tuple[float, float]:
    """The lowest and the highest value that is data and above a bound; (0, 0) where there is none."""
    ends: list[float] = []
    for strip in strips:
        part = values[strip]
        part = part[_is_data(part, stated) & (part > above)]
        if part.size:
            ends += [float(part.min()), float(part.max())]
    return (min(ends), max(ends)) if ends else (0.0, 0.0)


def _above_gap(values: NDArray[Any], strips: list[slice], stated: float | None, low: float, high: float) -> float:
    """The lowest value of the data, leaving out a mark for "no data" below it."""
    if stated is not None or low not in _CONVENTIONS:
        return low
    next_low, _ = _range(values, strips, stated, above=low)
    return next_low if next_low - low > high - next_low else low
