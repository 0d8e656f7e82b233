from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.native.difference import (
    CELL_PX,
    Field,
    Soft,
    compared_cells,
    compared_slopes,
    halved,
    laid_parts,
    softened,
)

pytestmark = pytest.mark.usefixtures("level")  # each test at each of them

BLACK = -1024
WAY = np.array([[0.9, 0.1, 1.3], [-0.1, 1.1, 0.3], [1e-3, -2e-3, 1]])


def noise(height: int, width: int, seed: int = 0) -> Soft:
    return np.random.default_rng(seed).integers(-1024, 1017, (height, width)).astype(np.int16)


def soft_noise(height: int, width: int, seed: int = 0) -> Soft:
    return softened(np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8))


# The same in NumPy, to the bit


def padded(picture: NDArray[np.int64], by: int) -> NDArray[np.int64]:
    return np.pad(picture, by, mode="reflect" if min(picture.shape) > 1 else "edge")


def blurred(picture: NDArray[np.uint8]) -> Soft:
    found = picture.astype(np.int64)
    for axis, divisor in ((1, 16), (0, 512)):
        size = picture.shape[axis]
        beside = [(3, 3) if one == axis else (0, 0) for one in (0, 1)]
        wide = np.pad(found, beside, mode="reflect" if size > 1 else "edge")
        sums = np.zeros_like(found)
        for place, tap in enumerate((1, 14, 62, 102, 62, 14, 1)):
            sums += tap * wide.take(np.arange(place, place + size), axis)
        found = (sums + divisor // 2) // divisor
    return (found - 1024).astype(np.int16)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 3), (3, 2), (4, 5), (6, 7), (3, 40), (37, 53), (64, 64)])
def test_a_blur_is_that_of_numpy(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(softened(picture), blurred(picture))
    np.testing.assert_array_equal(softened(np.full(shape, 255, np.uint8)), np.full(shape, 1016))
    np.testing.assert_array_equal(softened(np.zeros(shape, np.uint8)), np.full(shape, BLACK))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (5, 8), (37, 53)])
def test_half_a_picture_is_that_of_numpy(shape: tuple[int, int]) -> None:
    picture = noise(*shape)
    rows, columns = (side // 2 for side in shape)
    fours = picture[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).astype(np.int64).sum(axis=(1, 3))
    np.testing.assert_array_equal(halved(picture), (fours + 2) // 4)


def laid(picture: Soft, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The picture at places of its own, linearly between px, in 128ths of one."""
    height, width = picture.shape
    inside = (x >= -0.5) & (y >= -0.5) & (x < width - 0.5) & (y < height - 0.5)
    u, v = (
        np.floor(np.clip(128 * np.nan_to_num(one), 0, max(128 * (side - 1) - 1, 0)) + 0.5).astype(np.int64)
        for one, side in ((x, width), (y, height))
    )
    px = np.pad(picture, ((0, 1), (0, 1)), "edge").astype(np.int64)
    a, b, c, d = (px[v // 128 + below, u // 128 + beside] for below in (0, 1) for beside in (0, 1))
    right, down = u % 128, v % 128
    above, under = a * (128 - right) + b * right, c * (128 - right) + d * right
    found = (above * (128 - down) + under * down + 8192) // 16384
    return np.where(inside, found, BLACK), inside


def through(matrix: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    u, v, depth = (row[0] * x + row[1] * y + row[2] for row in matrix)
    return [u / depth, v / depth]


@pytest.mark.parametrize("shape", [(40, 60), (1, 60), (40, 1), (2, 2)])
def test_parts_are_laid_over_as_numpy_does(shape: tuple[int, int]) -> None:
    picture, corners = noise(*shape), np.array([[0, 0], [-5, 9], [30, -70]])
    seen, mask = laid_parts(picture, WAY, corners, (50, 70))
    for (row, column), part, covered in zip(corners, seen, mask, strict=True):
        y, x = np.mgrid[row : row + 50.0, column : column + 70.0]
        expected, inside = laid(picture, *through(WAY, x, y))
        np.testing.assert_array_equal(part, expected)
        np.testing.assert_array_equal(covered, inside)
    assert 0 < mask.sum() < mask.size


def test_a_field_shifts_what_is_laid_over() -> None:
    picture, start = soft_noise(60, 90), 15
    shifts = np.random.default_rng(1).normal(0, 3, (2, 4, 5)).astype(np.float32)
    (seen,), (mask,) = laid_parts(picture, WAY, np.array([[0, 0]]), (48, 72), Field(shifts, start))
    y, x = np.mgrid[:48, :72]
    share = [((2 * one + start) % 48).astype(np.float32) / np.float32(48) for one in (x, y)]
    node = [(2 * one + start) // 48 for one in (x, y)]
    moves = []
    for one in shifts:
        upper, lower = (
            [one[row, node[0] + k] + (one[row + 1, node[0] + k] - one[row, node[0] + k]) * share[1] for k in (0, 1)]
            for row in (node[1], node[1])
        )
        moves.append((upper[0] + (lower[1] - upper[0]) * share[0]).astype(np.float64))
    expected, inside = laid(picture, *through(WAY, x + moves[0], y + moves[1]))
    np.testing.assert_array_equal(seen, expected)
    np.testing.assert_array_equal(mask, inside)


def sums_of(first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[int, int, int]:
    """What correlates two cells, and the energy of each; exact."""
    a, b = first.ravel(), second.ravel()
    one, other, both = ((a * a).sum(), (b * b).sum(), (a * b).sum())
    return (
        int(576 * both - a.sum() * b.sum()),
        int(576 * one - a.sum() ** 2),
        int(576 * other - b.sum() ** 2),
    )


@pytest.mark.parametrize("reach", [0, 1, 2, 5, 8])
def test_cells_are_compared_as_numpy_does(reach: int) -> None:
    side = CELL_PX + 2 * reach
    picture, seen = soft_noise(side + 20, side + 9, 2), soft_noise(side + 20, side + 9, 3)
    top, left = 11 + reach, 4 + reach
    down, right = (min(reach, 1) * one for one in (-1, 1))
    cell = picture[top + down : top + down + CELL_PX, left + right : left + right + CELL_PX]
    seen[top : top + CELL_PX, left : left + CELL_PX] = cell // 2 + seen[top : top + CELL_PX, left : left + CELL_PX] // 4
    corners = np.array([[top, left], [reach, reach]])
    found = compared_cells(picture, seen, np.ones(picture.shape, np.uint8), corners, reach, 0.0)
    for number, (row, column) in enumerate(corners):
        alike = np.empty((2 * reach + 1, 2 * reach + 1))
        own = seen[row : row + CELL_PX, column : column + CELL_PX].astype(np.int64)
        for (y, x), _ in np.ndenumerate(alike):
            up, beside = row + y - reach, column + x - reach
            other = picture[up : up + CELL_PX, beside : beside + CELL_PX].astype(np.int64)
            common, energy, energy_of_other = sums_of(own, other)
            alike[y, x] = common / np.sqrt(float(energy) * float(energy_of_other))
        y, x = np.unravel_index(alike.argmax(), alike.shape)
        falls = [
            alike.max() - max([line[at] for at in (place - 3, place + 3) if 0 <= at < len(line)], default=alike.max())
            for line, place in ((alike[y], x), (alike[:, x], y))
        ]
        expected = [alike.max(), x - reach, y - reach, *falls]
        np.testing.assert_array_equal([one[number] for one in found[:5]], np.array(expected, np.float32))
        of_picture = picture[row : row + CELL_PX, column : column + CELL_PX] / 8
        assert found.contrast[number] == pytest.approx(of_picture.std())
        assert found.seen_contrast[number] == pytest.approx((own / 8).std())
    assert (found.down[0], found.right[0]) == (down, right)


def sobel(cell: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    smooth = [cell[:-2] + 2 * cell[1:-1] + cell[2:], cell[:, :-2] + 2 * cell[:, 1:-1] + cell[:, 2:]]
    return [smooth[0][:, 2:] - smooth[0][:, :-2], smooth[1][2:] - smooth[1][:-2]]


def test_slopes_are_compared_as_numpy_does() -> None:
    picture, seen = soft_noise(40, 50, 4), soft_noise(40, 50, 5)
    seen[:, 10:] = picture[:, 10:] // 2 + seen[:, 10:] // 4
    corners, others = np.array([[0, 0], [16, 26], [7, 9]]), np.array([[3, 2], [16, 26], [8, 9]])
    alike, edges = compared_slopes(picture, seen, corners, others)
    cut = [
        [padded(one.astype(np.int64), 1)[row : row + 26, column : column + 26] for row, column in where]
        for one, where in ((picture, corners), (seen, others))
    ]
    for number, (first, second) in enumerate(zip(*cut, strict=True)):
        for along, slopes in enumerate(zip(sobel(first), sobel(second), strict=True)):
            common, *energies = sums_of(*slopes)
            expected = common / np.sqrt(float(energies[0]) * float(energies[1]))
            assert alike[number, along] == np.float32(expected)
            assert edges[number, along] == np.float32(np.sqrt(float(min(energies))))
    assert alike[1].min() > 0.8
    assert abs(alike[0]).max() < 0.3


# What says nothing


def test_plain_faint_and_uncovered_cells_are_not_correlated() -> None:
    picture = soft_noise(30, 90)
    picture[:, :30] = 40  # plain
    mask = np.ones(picture.shape, np.uint8)
    mask[10, 88] = 0  # beside the third cell
    corners = np.array([[3, 3], [3, 33], [3, 64]])
    found = compared_cells(picture, picture, mask, corners, 1, 0.5)
    np.testing.assert_array_equal(found.correlation, [0, 1, 0])
    np.testing.assert_array_equal(found.contrast > 0, [False, True, False])
    assert compared_cells(picture, picture, mask, corners, 1, 100.0).correlation.max() == 0
    assert compared_cells(picture, picture, mask, corners, 1, 0.0).correlation[0] == 0
    assert (compared_slopes(picture, picture, corners[:1], corners[:1])[0] == 0).all()


def test_numbers_out_of_range_are_the_largest_there_are() -> None:
    picture = np.where(noise(30, 30) < 0, -(1 << 15), (1 << 15) - 1).astype(np.int16)
    corners = np.array([[3, 3]])
    found, expected = (
        compared_cells(one, one, np.ones((30, 30), np.uint8), corners, 3, 0.0)
        for one in (picture, np.clip(picture, -1024, 1024).astype(np.int16))
    )
    np.testing.assert_array_equal(found, expected)
    slopes = [compared_slopes(one, one, corners, corners) for one in (picture, np.clip(picture, -1024, 1024))]
    np.testing.assert_array_equal(slopes[0], slopes[1])
    assert (np.abs(laid_parts(picture, np.eye(3), corners, (9, 9))[0].astype(np.int64)) >= (1 << 15) - 1).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
def test_any_map_and_any_field_are_borne(value: float) -> None:
    picture, corner = noise(8, 9), np.zeros((1, 2), np.int64)
    seen, mask = laid_parts(picture, np.full((3, 3), value), corner, (5, 4))
    assert (seen == BLACK).all()
    assert (mask == 0).all()
    field = Field(np.full((2, 2, 2), value, np.float32), 0)
    assert laid_parts(picture, np.eye(3), corner, (5, 4), field)[1].any() == (value == 0)


def test_other_arrays_are_refused() -> None:
    picture, mask, corner = noise(40, 40), np.ones((40, 40), np.uint8), np.zeros((1, 2), np.int64)
    with pytest.raises(UsageError, match="no px"):
        softened(np.empty((0, 4), np.uint8))
    with pytest.raises(UsageError, match="no px"):
        halved(np.empty((0, 4), np.int16))
    with pytest.raises(UsageError, match="no px"):
        laid_parts(picture, np.eye(3), corner, (0, 4))
    with pytest.raises(UsageError, match="a map of"):
        laid_parts(picture, np.eye(2), corner, (5, 4))
    with pytest.raises(UsageError, match="an array of int16"):
        halved(picture.astype(np.int32))
    with pytest.raises(UsageError, match="corners"):
        compared_cells(picture, picture, mask, corner[0], 0, 0.0)
    with pytest.raises(UsageError, match="different sizes"):
        compared_cells(picture, picture[:30], mask, corner, 0, 0.0)
    with pytest.raises(UsageError, match="other numbers"):
        compared_slopes(picture, picture, corner, corner[:0])
    compared_cells(picture, picture, mask, corner, 0, 0.0)
    compared_cells(picture, picture, mask, corner + 8, 8, 0.0)
    for place, reach in ((0, 1), (17, 0), (16, 1), (-1, 0), (8, 9), (8, -1), (1 << 62, 0)):
        with pytest.raises(UsageError, match="lies beyond"):
            compared_cells(picture, picture, mask, corner + place, reach, 0.0)
    for place in (-1, 17):
        with pytest.raises(UsageError, match="lies beyond"):
            compared_slopes(picture, picture, corner, corner + place)
        with pytest.raises(UsageError, match="lies beyond"):
            compared_slopes(picture, picture, corner + place, corner)


@pytest.mark.parametrize(
    ("corner", "nodes", "start", "is_spanned"),
    [
        (0, 2, 0, True),
        (0, 2, 7, True),
        (0, 2, 8, False),  # of 21 px, the last lies at 40 halves of one
        (4, 2, 0, False),
        (4, 3, 0, True),
        (-1, 3, 0, False),
        (0, 3, 48, True),
        (0, 4, 49, False),
        (0, 4, -1, False),
    ],
)
def test_a_field_has_nodes_on_both_sides_of_every_px(corner: int, nodes: int, start: int, is_spanned: bool) -> None:
    picture, corners = noise(40, 40), np.array([[corner, 0]])
    for field in (np.zeros((2, nodes, 5), np.float32), np.zeros((2, 5, nodes), np.float32)):
        if is_spanned:
            assert laid_parts(picture, np.eye(3), corners, (21, 21), Field(field, start))[1].all()
        else:
            with pytest.raises(UsageError, match="lies beyond"):
                laid_parts(picture, np.eye(3), corners, (21, 21), Field(field, start))
        corners = corners[:, ::-1].copy()
