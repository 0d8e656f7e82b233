"""Inputs for the kernels that lay pictures over one another: small pictures, and maps of all kinds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.kernel_cases import ODD_FLOATS, ODD_WHOLES, Buffer, Case, Random, one_in

_LONGEST, _MOST_REACH = 1 << 15, 64  # as agreement.c has them
_ODD_DOUBLES = (*ODD_FLOATS, 1e-320, 1e308, -1e308, -0.5, 0.5 - 2**-54)


def agreement_case(random: Random) -> Case:
    """A blur, a warp and the sums of an alignment, in any order, of pictures of one size."""
    case = _Maker(random)
    calls = [case.smooth, case.lay_over, case.align]
    for number in random.permutation(3):
        calls[number]()
    return case.case


class _Maker:
    """A case, and what its calls have in common: the size, and whether there are odd floats in it.

    From those come numbers that are none, whose bits are up to the processor: then results are not compared, but what
    kernels return is.
    """

    def __init__(self, random: Random) -> None:
        self.random, self.case = random, Case()
        self.size, self.odd = any_size(random), one_in(random, 8)
        self.told = [told_side(random, side) for side in self.size]

    def smooth(self) -> None:
        random = self.random
        reach = int(random.integers(0, 8)) if not one_in(random, 8) else int(random.choice([0, 16, 63, _MOST_REACH]))
        told = reach
        if one_in(random, 40):
            told = int(random.choice([-1, _MOST_REACH + 1, *(one for one in ODD_WHOLES if one not in (0, 1))]))
        height, width = self.size
        taps = self._floats((reach + 1,), 1)
        room = self.case.scratch(4 * height * width), self.case.scratch(4 * (width + 2 * reach))
        self.case.call(
            "featmatch_smooth", self._picture(), *self.told, taps, told, *room, self._result(4 * height * width)
        )

    def lay_over(self) -> None:
        rows, columns = any_size(self.random)
        told = (told_side(self.random, side) for side in (rows, columns))
        results = (self._result(4 * rows * columns) for _ in range(2))
        picture, map_ = self._picture(), self.case.given(any_map(self.random, self.size, 3))
        self.case.call("featmatch_lay_over", picture, *self.told, map_, *told, *results)

    def align(self) -> None:
        pictures = [self._picture() for _ in range(4)]
        height, width = self.size
        mask = (self.random.random((height, width)) < self.random.choice([0, 0.5, 1])).astype(np.float32)
        if self.odd:
            mask[self.random.integers(height)] = self.random.choice(ODD_FLOATS)
        map_, sums = self.case.given(any_map(self.random, self.size, 2)), self._result(8 * 8 * 9)
        self.case.call("featmatch_align_sums", *pictures, self.case.given(mask), *self.told, map_, sums)

    def _picture(self) -> Buffer:
        return self._floats(self.size, int(self.random.choice([0, 1, 255, 1_000_000])))

    def _floats(self, shape: tuple[int, ...], most: int) -> Buffer:
        floats = self.random.uniform(-most, most, shape).astype(np.float32)
        if one_in(self.random, 4):
            floats = np.rint(floats)
        if self.odd:
            floats.reshape(-1)[self.random.integers(floats.size, size=2)] = self.random.choice(ODD_FLOATS, 2)
        return self.case.given(floats)

    def _result(self, size: int) -> Buffer:
        return self.case.scratch(size) if self.odd else self.case.written(size)


def any_size(random: Random) -> tuple[int, int]:
    """Height and width: of few px, as a rule; thin pictures can be long."""
    height, width = (int(2 ** random.uniform(0, 5)) for _ in range(2))
    if one_in(random, 50):
        height, width = (int(random.integers(1, 4)), int(random.integers(1, 2000)))[:: random.choice([-1, 1])]
    if one_in(random, 10_000):
        height, width = (1, _LONGEST)[:: random.choice([-1, 1])]
    return height, width


def told_side(random: Random, side: int) -> int:
    """The side of a picture, and now and then less, or none: that the px are there is believed."""
    return side if not one_in(random, 100) else int(random.choice([side - 1, _LONGEST + 1, *ODD_WHOLES]))


def any_map(random: Random, size: tuple[int, int], rows: int) -> NDArray[np.float64]:
    """Of a homography (3 rows) or an affine map (2): near to none, any that meets the picture, or nonsense."""
    matrix = np.eye(3)
    match random.integers(4):
        case 0:
            matrix[:2, 2] = random.integers(-3, 4, 2) / random.choice([1, 2])
        case 1:
            matrix[:2] += random.normal(0, 0.02, (2, 3)) * [1, 1, 50]
        case 2:
            matrix[:2] = random.normal(0, 1, (2, 3))
            matrix[:2, 2] *= size[::-1]
        case 3:
            # To the rims and corners, where one px of four or two is there.
            matrix[:2, :2] *= random.choice([0, -1, 1, 0.5])
            matrix[:2, 2] = random.choice([-1, -0.5, 0, 1], 2) + random.choice([0, 1], 2) * (np.array(size[::-1]) - 1)
    if one_in(random, 2):
        matrix[2] += random.normal(0, 0.01, 3)
    matrix = matrix[:rows]
    if one_in(random, 8):
        matrix.reshape(-1)[random.integers(matrix.size, size=2)] = random.choice(_ODD_DOUBLES, 2)
    return matrix
