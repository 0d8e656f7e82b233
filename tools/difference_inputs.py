"""Inputs for the kernels that compare pictures cell by cell: pictures, fields of shifts, and cells in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.agreement_inputs import any_map, any_size, told_side
from tools.kernel_cases import ODD_FLOATS, Buffer, Case, Random, maybe_odd, one_in

_CELL, _MOST_REACH, _MOST = 24, 8, 1024  # as difference.c has them


def difference_case(random: Random) -> Case:
    """A blur, a smaller picture, a warp, and comparisons of cells and of their slopes, in any order."""
    case = _Maker(random)
    calls = [case.soften, case.halve, case.lay_parts, case.compare_cells, case.compare_slopes]
    for number in random.permutation(len(calls)):
        calls[number]()
    return case.case


class _Maker:
    """A case, and what its calls have in common: the sizes of pictures."""

    def __init__(self, random: Random) -> None:
        self.random, self.case = random, Case()
        self.size = any_size(random)
        self.cells_size = (int(random.integers(_CELL, 3 * _CELL)), int(random.integers(_CELL, 3 * _CELL)))

    def soften(self) -> None:
        height, width = self.size
        picture = self.random.integers(0, 256, self.size).astype(np.uint8)
        if one_in(self.random, 4):
            picture[:] = self.random.choice([0, 255])
        self.case.call(
            "featmatch_soften", self.case.given(picture), *self._told(self.size),
            self.case.scratch(2 * 7 * width), self.case.written(2 * height * width),
        )  # fmt: skip

    def halve(self) -> None:
        height, width = self.size
        half = self.case.written(2 * (height // 2) * (width // 2))
        self.case.call("featmatch_halve", self._picture(self.size), *self._told(self.size), half)

    def lay_parts(self) -> None:
        random = self.random
        parts, (rows, columns) = int(random.integers(0, 4)), any_size(random)
        corners, start = random.integers(-40, 41, (parts, 2)), int(random.integers(0, 2 * _CELL + 1))
        nodes = np.array([0, 0])
        if one_in(random, 2):
            corners = np.maximum(corners, 0)
            last = corners.max(axis=0, initial=0) + np.array([rows, columns])
            nodes = (2 * last + start) // (2 * _CELL) + random.choice([1, 2, 2, 3])
        if one_in(random, 20):
            start = maybe_odd(random, start, 2)
        shifts = random.normal(0, random.choice([0, 1, 50]), (2, *nodes)).astype(np.float32)
        if shifts.size and one_in(random, 8):
            shifts.reshape(-1)[random.integers(shifts.size, size=2)] = random.choice(ODD_FLOATS, 2)
        if corners.size and one_in(random, 40):
            corners[0, 0] = maybe_odd(random, 0, 1)
        given = [self.case.given(one) for one in (any_map(random, self.size, 3), shifts)]
        results = self.case.written(2 * parts * rows * columns), self.case.written(parts * rows * columns)
        self.case.call(
            "featmatch_lay_parts", self._picture(self.size), *self._told(self.size), *given, *map(int, nodes), start,
            self.case.given(corners.astype(np.int64)), parts, *self._told((rows, columns)), *results,
        )  # fmt: skip

    def compare_cells(self) -> None:
        random, size = self.random, self.cells_size
        reach = int(random.integers(0, min(_MOST_REACH, (min(size) - _CELL) // 2) + 1))
        mask = (random.random(size) < random.choice([0.999, 1])).astype(np.uint8)
        corners, count = self._corners(reach)
        pictures = self._pictures()
        enough = float(random.choice([0, 2.5, 30, np.nan]))
        self.case.call(
            "featmatch_compare_cells", *pictures, self.case.given(mask), *size, corners, count,
            maybe_odd(random, reach, 100), enough, self.case.written(4 * 7 * max(count, 0)),
        )  # fmt: skip

    def compare_slopes(self) -> None:
        corners, count = self._corners(0)
        others = self._corners(0, count)[0]
        results = (self.case.written(4 * 2 * max(count, 0)) for _ in range(2))
        self.case.call(
            "featmatch_compare_slopes", *self._pictures(), *self.cells_size, corners, others, count, *results
        )

    def _told(self, size: tuple[int, int]) -> tuple[int, int]:
        height, width = (told_side(self.random, side) for side in size)
        return height, width

    def _picture(self, size: tuple[int, int]) -> Buffer:
        return self.case.given(self._px(size))

    def _px(self, size: tuple[int, int]) -> NDArray[np.int16]:
        most = int(self.random.choice([0, 3, _MOST, _MOST, 1 << 15]))
        px = self.random.integers(-most, most + 1, size).clip(-(1 << 15), (1 << 15) - 1)
        if one_in(self.random, 4):
            px = np.where(px < 0, -most, min(most, (1 << 15) - 1))
        return px.astype(np.int16)

    def _pictures(self) -> list[Buffer]:
        """Two of the size that has cells; now and then the same, moved."""
        first = self._px(self.cells_size)
        second = np.roll(first, self.random.integers(-3, 4, 2), (0, 1)) if one_in(self.random, 2) else first[::-1]
        return [self.case.given(np.ascontiguousarray(one)) for one in (first, second)]

    def _corners(self, reach: int, count: int | None = None) -> tuple[Buffer, int]:
        """Of cells that lie within the pictures, now and then beyond them, and how many there are."""
        count = int(self.random.integers(0, 5)) if count is None else count
        last = np.array(self.cells_size) - _CELL - reach
        corners = self.random.integers(reach, last + 1, (count, 2))
        if count and one_in(self.random, 40):
            corners[0, 0] = maybe_odd(self.random, int(last[0]), 1)
        return self.case.given(corners), count
