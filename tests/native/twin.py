"""featmatch/native/sift.c once more in plain NumPy, slowly: the same bits.

All is float32, and sums are added in the order in which the kernel adds them. The tables come from their formulas.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from featmatch.native.sift import CONTRAST, EDGE

F = np.float32
Floats: TypeAlias = Any  # arrays and single numbers, all float32

DOUBLED_UP_TO = 1400  # px, longer side
LAYERS, BORDER, DRIFT, ROUNDS, SMALLEST = 3, 5, 3, 5, 24
BINS, MOST_TURNS, SIDE, CELLS, TURNS = 36, 4, 16, 4, 8
DILATIONS = (1, 2, 2, 2, 3)


class Keypoint(NamedTuple):
    x: np.float32
    y: np.float32
    level: np.float32
    response: np.float32
    column: int
    row: int
    layer: int
    octave: int


class Feature(NamedTuple):
    keypoint: Keypoint
    size: np.float32
    turn: np.float32
    descriptor: NDArray[np.uint8]


# ------------------------------------------------------------------- tables


def blur_weights() -> list[Floats]:
    """Half of each blur's kernel, centre first: each layer is blurred 2 ** (1 / 3) times as much as the one before."""
    sigmas = [1.6 * 2 ** (layer / LAYERS) for layer in range(LAYERS + 3)]
    tables = []
    for before, after, dilation in zip(sigmas, sigmas[1:], DILATIONS, strict=False):
        sigma = math.sqrt(after**2 - before**2)
        pairs = max(math.ceil(4 * sigma / dilation - 0.25), 3)
        half = np.exp(-0.5 * (np.arange(pairs + 1) * dilation / sigma) ** 2)
        tables.append((half / (half[0] + 2 * half[1:].sum())).astype(F))
    return tables


def doubling_weights() -> Floats:
    """Linear interpolation about the centres of px, then a blur from 1 px to 1.6 px, both of the doubled picture."""
    weights = np.zeros(7)
    for step in range(-5, 6):
        near = step // 2  # the doubled px is between this px, by three quarters, and the one on its other side
        far = near - 1 if step % 2 == 0 else near + 1
        for px, share in ((near, 0.75), (far, 0.25)):
            if abs(px) <= 3:
                weights[px + 3] += share * math.exp(-0.5 * step**2 / (1.6**2 - 1))
    return (weights / weights.sum()).astype(F)


def cell_shares() -> Floats:
    """(cells, samples): linear in the distance from the middle of a cell, and a Gaussian of two cells around it all."""
    along = (np.arange(SIDE) + 0.5) / SIDE * (CELLS + 1) - (CELLS + 1) / 2
    linear = np.maximum(0, 1 - np.abs(along + 1.5 - np.arange(CELLS)[:, None]))
    return np.asarray(linear * np.exp(-(along**2) / 8), F)


def softening_weights() -> Floats:
    """Half of the kernel that blurs a picture from 0.5 px, as a camera leaves it, to 1.6 px."""
    half = np.exp(-0.5 * np.arange(6) ** 2 / (1.6**2 - 0.5**2))
    return (half / (half[0] + 2 * half[1:].sum())).astype(F)


# ------------------------------------------------------------------ pyramid


def is_doubled(pixels: NDArray[np.uint8]) -> bool:
    return bool(max(pixels.shape) <= DOUBLED_UP_TO)


def mirrored(places: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    places = np.abs(places)
    places = np.where(places >= count, 2 * count - 2 - places, places)
    return np.clip(places, 0, count - 1)


def shifted(picture: Floats, by: int) -> Floats:
    return picture[mirrored(np.arange(len(picture)) + by, len(picture))]


def blurred(picture: Floats, weights: Floats, dilation: int) -> Floats:
    for _ in range(2):  # down, then across
        total = weights[0] * picture
        for pair, weight in enumerate(weights[1:], 1):
            total = total + weight * (shifted(picture, -pair * dilation) + shifted(picture, pair * dilation))
        picture = total.T
    return picture


def doubled(picture: Floats) -> Floats:
    for _ in range(2):
        both = np.empty((2 * len(picture), picture.shape[1]), F)
        for odd in (0, 1):
            weights = doubling_weights()[:: 1 - 2 * odd]
            total = weights[0] * shifted(picture, -3)
            for step in range(1, 7):
                total = total + weights[step] * shifted(picture, step - 3)
            both[odd::2] = total
        picture = both.T
    return picture


def pyramid(pixels: NDArray[np.uint8]) -> list[Floats]:
    """Octaves, each (layers + 3, height, width)."""
    octaves = []
    picture = doubled(pixels.astype(F)) if is_doubled(pixels) else blurred(pixels.astype(F), softening_weights(), 1)
    while True:
        layers = [picture]
        for weights, dilation in zip(blur_weights(), DILATIONS, strict=True):
            layers.append(blurred(layers[-1], weights, dilation))
        octaves.append(np.stack(layers))
        if min(picture.shape) < SMALLEST:
            return octaves
        height, width = picture.shape
        picture = layers[LAYERS][::2, ::2][: height // 2, : width // 2]


# ---------------------------------------------------------------- keypoints


def keypoints(octaves: list[Floats]) -> list[Keypoint]:
    found = {one for number, octave in enumerate(octaves) for one in _in_octave(octave, number)}
    return sorted(found, key=lambda one: (one.octave, one.row, one.layer, one.column))


def _in_octave(octave: Floats, number: int) -> list[Keypoint]:
    differences = octave[1:] - octave[:-1]
    threshold = F(0.5) * F(CONTRAST) / LAYERS * 255
    _, height, width = octave.shape
    found = []
    for row in range(BORDER, height - BORDER):
        for layer in range(1, LAYERS + 1):
            for column in range(BORDER, width - BORDER):
                value = differences[layer, row, column]
                if abs(value) < threshold:
                    continue
                around = differences[layer - 1 : layer + 2, row - 1 : row + 2, column - 1 : column + 2]
                if (value > 0 and value >= around.max()) or (value < 0 and value <= around.min()):
                    one = _refined(differences, layer, row, column)
                    found += [one._replace(octave=number)] if one else []
    return found


def _refined(differences: Floats, layer: int, row: int, column: int) -> Keypoint | None:
    at = np.array([layer, row, column])
    _, height, width = differences.shape
    for _ in range(ROUNDS):
        d = differences[at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2, at[2] - 1 : at[2] + 2]
        c = d[1, 1, 1]
        dx, dy = (d[1, 1, 2] - d[1, 1, 0]) * F(0.5), (d[1, 2, 1] - d[1, 0, 1]) * F(0.5)
        ds = (d[2, 1, 1] - d[0, 1, 1]) * F(0.5)
        dxx, dyy = d[1, 1, 2] + d[1, 1, 0] - 2 * c, d[1, 2, 1] + d[1, 0, 1] - 2 * c
        dss = d[2, 1, 1] + d[0, 1, 1] - 2 * c
        dxy = F(0.25) * (d[1, 2, 2] - d[1, 2, 0] - d[1, 0, 2] + d[1, 0, 0])
        dxs = F(0.25) * (d[2, 1, 2] - d[2, 1, 0] - d[0, 1, 2] + d[0, 1, 0])
        dys = F(0.25) * (d[2, 2, 1] - d[2, 0, 1] - d[0, 2, 1] + d[0, 0, 1])
        determinant = dxx * (dyy * dss - dys * dys) - dxy * (dxy * dss - dys * dxs) + dxs * (dxy * dys - dyy * dxs)
        if determinant == 0:
            return None
        inverse = F(-1) / determinant
        x = inverse * (dx * (dyy * dss - dys * dys) - dxy * (dy * dss - dys * ds) + dxs * (dy * dys - dyy * ds))
        y = inverse * (dxx * (dy * dss - ds * dys) - dx * (dxy * dss - dys * dxs) + dxs * (dxy * ds - dy * dxs))
        s = inverse * (dxx * (dyy * ds - dys * dy) - dxy * (dxy * ds - dy * dxs) + dx * (dxy * dys - dyy * dxs))
        if max(abs(x), abs(y), abs(s)) < 0.5:
            response = abs(c + F(0.5) * (dx * x + dy * y + ds * s)) * (F(1) / F(255))
            trace, product, edge = dxx + dyy, dxx * dyy - dxy * dxy, F(EDGE)
            sharp = trace * trace * edge < (edge + 1) * (edge + 1) * product
            if response * LAYERS < F(CONTRAST) or not sharp:
                return None
            return Keypoint(F(at[2]) + x, F(at[1]) + y, F(at[0]) + s, response, at[2], at[1], at[0], 0)
        if not max(abs(x), abs(y), abs(s)) <= DRIFT:
            return None
        at = at + [int(one + F(1024.5)) - 1024 for one in (s, y, x)]
        inside = BORDER <= at[2] < width - BORDER and BORDER <= at[1] < height - BORDER and 1 <= at[0] <= LAYERS
        if not inside or max(abs(at[1] - row), abs(at[2] - column)) > DRIFT:
            return None
    return None


# ---------------------------------------------------------------- functions


def power_of_two(power: Floats) -> Floats:
    whole = (power + F(64.5)).astype(np.int64) - 64
    x = power - whole.astype(F)
    terms = [F(math.log(2) ** n / math.factorial(n)) for n in range(7)]
    value = np.full(power.shape, terms[6])
    for term in terms[5::-1]:
        value = value * x + term
    return np.ldexp(value, whole)


def turn_of(dy: Floats, dx: Floats) -> Floats:
    ax, ay = np.abs(dx), np.abs(dy)
    c = np.minimum(ax, ay) / (np.maximum(ax, ay) + F(1e-20))
    c2 = c * c
    a = np.full(c.shape, F(-0.0117212))
    for term in (0.05265332, -0.11643287, 0.19354346, -0.33262347, 0.99997726):
        a = a * c2 + F(term)
    a = a * c * F(0.159154943)
    a = np.where(ay > ax, F(0.25) - a, a)
    a = np.where(dx < 0, F(0.5) - a, a)
    return np.where(dy < 0, F(1) - a, a)


def direction_of(turn: np.float32) -> tuple[np.float32, np.float32]:
    quarter = int(turn * 4 + F(0.5))
    x = (turn - F(quarter) * F(0.25)) * F(6.28318531)
    x2 = x * x
    s = ((x2 * F(-1 / 5040) + F(1 / 120)) * x2 - F(1 / 6)) * x2 * x + x
    c = (((x2 * F(1 / 40320) - F(1 / 720)) * x2 + F(1 / 24)) * x2 - F(0.5)) * x2 + F(1)
    return [(c, s), (-s, c), (-c, -s), (s, -c)][quarter % 4]


# ----------------------------------------------------------------- features


def features(octaves: list[Floats], one: Keypoint) -> list[Feature]:
    layer = octaves[one.octave][one.layer]
    sigma = F(1.6) * power_of_two(np.array(one.level / LAYERS))[()]
    return [Feature(one, 2 * sigma, turn, _descriptor(layer, one, sigma, turn)) for turn in _turns(layer, one, sigma)]


def _turns(layer: Floats, one: Keypoint, sigma: np.float32) -> list[np.float32]:
    raw = _histogram(layer, one, sigma)
    smooth = (
        (np.roll(raw, 2) + np.roll(raw, -2)) * F(1 / 16)
        + (np.roll(raw, 1) + np.roll(raw, -1)) * F(4 / 16)
        + raw * F(6 / 16)
    )
    turns = []
    for b in range(BINS):
        before, own, after = smooth[b - 1], smooth[b], smooth[(b + 1) % BINS]
        if own > before and own > after and own >= F(0.8) * smooth.max():
            turn = (F(b) + F(0.5) * (before - after) / (before - 2 * own + after)) / BINS
            turns.append(turn + 1 if turn < 0 else turn)
    return turns[:MOST_TURNS]


def _histogram(layer: Floats, one: Keypoint, sigma: np.float32) -> Floats:
    radius = int(F(4.5) * sigma + F(1024.5)) - 1024
    height, width = layer.shape
    rows = np.arange(max(one.row - radius, 1), min(one.row + radius, height - 2) + 1)[:, None]
    columns = np.arange(max(one.column - radius, 1), min(one.column + radius, width - 2) + 1)
    dx = layer[rows, columns + 1] - layer[rows, columns - 1]
    dy = layer[rows - 1, columns] - layer[rows + 1, columns]
    bins = (turn_of(dy, dx) * BINS + F(0.5)).astype(np.int64).ravel()
    fall = F(-0.5) * F(1.44269504) / (F(2.25) * sigma * sigma)
    down = power_of_two(((rows - one.row) ** 2).astype(F) * fall)
    across = power_of_two(((columns - one.column) ** 2).astype(F) * fall)
    shares = (down * across * np.sqrt(dx * dx + dy * dy)).ravel()
    halves = np.zeros((2, BINS + 1), F)
    for number, (place, share) in enumerate(zip(bins, shares, strict=True)):
        halves[number % 2, place] += share
    whole = halves[0] + halves[1]
    whole[0] += whole[BINS]
    return whole[:BINS]


def _descriptor(layer: Floats, one: Keypoint, sigma: np.float32, turn: np.float32) -> NDArray[np.uint8]:
    height, width = layer.shape
    cosine, sine = (part * (3 * sigma) for part in direction_of(turn))
    steps = ((2 * np.arange(SIDE) - SIDE + 1) * 2.5 / SIDE).astype(F)
    u, v = steps[:, None], steps  # sample [across, down]
    columns = (one.x + v * sine + u * cosine + F(64.5)).astype(np.int64) - 64
    rows = (one.y + v * cosine - u * sine + F(64.5)).astype(np.int64) - 64
    x, y = np.clip(columns, 1, width - 2), np.clip(rows, 1, height - 2)
    inside = ((x == columns) & (y == rows)).astype(F)
    dx, dy = inside * (layer[y, x + 1] - layer[y, x - 1]), inside * (layer[y - 1, x] - layer[y + 1, x])
    bins = (turn_of(dy, dx) - turn) * TURNS
    bins = np.where(bins < 0, bins + TURNS, bins)
    apart = np.abs(bins - np.arange(TURNS, dtype=F)[:, None, None])
    shares = np.maximum(F(1) - np.minimum(apart, TURNS - apart), F(0)) * np.sqrt(dx * dx + dy * dy)
    table = cell_shares()
    by_column = np.zeros((CELLS, TURNS, SIDE), F)
    for across in range(SIDE):
        by_column += table[:, across, None, None] * shares[:, across]
    cells = np.zeros((CELLS, CELLS, TURNS), F)
    for down in range(SIDE):
        cells += table[:, down, None, None] * by_column[..., down]
    return _whole_numbers(cells.ravel())


def _sum(values: Floats) -> np.float32:
    sums = np.zeros(16, F)
    for some in values.reshape(-1, 16):
        sums += some
    total = F(0)
    for one in sums:
        total += one
    return total


def _whole_numbers(cells: Floats) -> NDArray[np.uint8]:
    cells = np.minimum(cells, np.sqrt(_sum(cells * cells)) * F(0.2))
    roots = np.sqrt(cells * (F(1) / (_sum(cells) + F(1e-12)))) * 512 + F(0.5)
    return np.asarray(np.minimum(roots, F(255)), np.uint8)
