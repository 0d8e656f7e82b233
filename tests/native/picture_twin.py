"""What ``featmatch/native/picture.c`` computes, in plain Python: a picture's bytes, and the picture of any bytes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_WAVES = np.array([
    [round(8192 * math.sqrt((1 if k == 0 else 2) / 8) * math.cos((2 * x + 1) * k * math.pi / 16)) for x in range(8)]
    for k in range(8)
])  # fmt: skip
_ZIGZAG = sorted(
    ((row, column) for row in range(8) for column in range(8)),
    key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]),
)


def reduced(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Means over what each px covers, as fractions; a half is rounded up."""
    (height, width), (columns, rows) = pixels.shape, size

    def shares(few: int, many: int) -> list[list[Fraction]]:
        def overlap(a: int, b: int) -> Fraction:
            ends = min(Fraction((a + 1) * many, few), Fraction(b + 1)), max(Fraction(a * many, few), Fraction(b))
            return max(ends[0] - ends[1], Fraction(0)) * Fraction(few, many)

        return [[overlap(a, b) for b in range(many)] for a in range(few)]

    down, across = (np.array(shares(*pair), object) for pair in ((rows, height), (columns, width)))
    means = down @ pixels.astype(object) @ across.T
    return np.array([[math.floor(mean + Fraction(1, 2)) for mean in row] for row in means], np.uint8)


class _Coder:
    """An adaptive binary range coder: it encodes the bits that it is given, or, with bytes to read, decodes them."""

    def __init__(self, given: bytes | None = None) -> None:
        self.given = given
        self.low, self.range, self.place = 0, (1 << 32) - 1, 4
        self.code = int.from_bytes((given or b"")[:4].ljust(4, b"\0"), "big")
        self.shifts = 0
        self.zero: dict[tuple[object, ...], int] = defaultdict(lambda: 1 << 15)
        self.seen: dict[tuple[object, ...], int] = defaultdict(int)

    def split(self, bound: int, bit: int) -> int:
        if self.given is not None:
            bit = int(self.code >= bound)
        if bit:
            self.low, self.code, self.range = self.low + bound, self.code - bound, self.range - bound
        else:
            self.range = bound
        while self.range < 1 << 24:
            self.range, self.low, self.shifts = self.range << 8, self.low << 8, self.shifts + 1
            if self.given is not None:
                byte = self.given[self.place] if self.place < len(self.given) else 0
                self.code, self.place = self.code << 8 | byte, self.place + 1
        return bit

    def learnt(self, kind: tuple[object, ...], bit: int) -> int:
        bit = self.split((self.range >> 16) * self.zero[kind], bit)
        rate = self.seen[kind] = min(self.seen[kind] + 1, 5)
        zero = self.zero[kind]
        zero += -(zero >> rate) if bit else (65535 - zero) >> rate
        self.zero[kind] = min(max(zero, 64), 65535 - 64)
        return bit

    def number(self, kind: tuple[object, ...], number: int) -> int:
        bits = 0
        while bits < 14 and self.learnt((*kind, bits), int(number + 1 >= 2 << bits)):
            bits += 1
        found = 1
        for place in reversed(range(bits)):
            found = found << 1 | self.split(self.range >> 1, (number + 1) >> place & 1)
        return found - 1

    def sign(self, is_negative: bool) -> int:
        return -1 if self.split(self.range >> 1, int(is_negative)) else 1

    def content(self) -> bytes:
        """What was encoded: ``low`` is one long number, so carries take care of themselves."""
        return self.low.to_bytes(self.shifts + 4, "big").rstrip(b"\0")


def _block(coder: _Coder, levels: Sequence[int], beside: int) -> tuple[list[int], int]:
    last = max((k for k in range(1, 64) if levels[k]), default=0)
    tree = 1
    for place in reversed(range(6)):
        tree = tree << 1 | coder.learnt(("last", beside, tree), last >> place & 1)
    last = tree - 64
    found, before, earlier = [0] * 64, 0, 0
    for k in range(last, 0, -1):
        kind = min(before + earlier, 4)
        size = 0
        if k == last or coder.learnt(("nonzero", k, kind), int(levels[k] != 0)):
            size = 1 + coder.number(("more", kind), abs(levels[k]) - 1)
            found[k] = coder.sign(levels[k] < 0) * size
        before, earlier = size, before
    return found, last


def _bounded(value: int, most: int) -> int:
    return min(max(value, -most), most)


def _rounded(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    return np.asarray((values + (1 << (bits - 1))) >> bits)


def _levels(block: NDArray[np.int64], step: int) -> list[int]:
    waves = _rounded(_WAVES @ _rounded(block @ _WAVES.T, 9), 13)
    found = []
    for k, at in enumerate(_ZIGZAG):
        wave = int(waves[at])
        size = (abs(wave) + (6 if k else 8) * step) // (16 * step)
        found.append(-size if wave < 0 else size)
    return found


def _pixels(levels: Sequence[int], step: int) -> NDArray[np.int64]:
    waves = np.zeros((8, 8), np.int64)
    for k, at in enumerate(_ZIGZAG):
        waves[at] = _bounded(levels[k] * step, 2047)
    down = np.clip(_rounded(_WAVES.T @ waves, 9), -16383, 16383)
    return np.asarray(np.clip(_rounded(down @ _WAVES, 17), -128, 127) + 128)


def _all_blocks(coder: _Coder, pixels: Pixels | None, size: tuple[int, int], step: int) -> Pixels:
    width, height = size
    rows, columns = -(-height // 8), -(-width // 8)
    padded = np.zeros((8 * rows, 8 * columns), np.int64)
    if pixels is not None:
        padded = np.pad(pixels, [(0, 8 * rows - height), (0, 8 * columns - width)], mode="edge").astype(np.int64) - 128
    drawn = np.zeros_like(padded)
    means, lasts = np.zeros((rows, columns), np.int64), np.zeros((rows, columns), np.int64)
    for row in range(rows):
        for column in range(columns):
            at = slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8)
            given = [0] * 64 if pixels is None else _levels(padded[at], step)
            around = [means[row - 1, column]] * (row > 0) + [means[row, column - 1]] * (column > 0)
            expected = int(sum(around)) // max(len(around), 1)
            off = coder.number(("mean",), abs(given[0] - expected))
            off *= coder.sign(given[0] < expected) if off else 1
            means[row, column] = _bounded(expected + off, 2047)
            # Where there is no block above, or beside, the other stands for it.
            of_lasts = [lasts[row - 1, column]] * (row > 0) + [lasts[row, column - 1]] * (column > 0)
            if column == 0 and row > 0:
                of_lasts.append(lasts[row - 1, 0])
            total = int(sum(of_lasts)) * 2 // max(len(of_lasts), 1)
            beside = sum(total >= bound for bound in (2, 8, 20, 48))
            levels, lasts[row, column] = _block(coder, given, beside)
            drawn[at] = _pixels([int(means[row, column]), *levels[1:]], step)
    return drawn[:height, :width].astype(np.uint8)


def pack(pixels: Pixels, step: int) -> bytes:
    coder = _Coder()
    _all_blocks(coder, pixels, pixels.shape[::-1], step)
    return coder.content()


def unpack(packed: bytes, size: tuple[int, int], step: int) -> Pixels:
    return _all_blocks(_Coder(packed), None, size, step)
