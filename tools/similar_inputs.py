"""Inputs for the kernels that compare tentative matches: few or many, true and wrong, and numbers of all kinds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featmatch.native.similar import _COLUMNS, _MASKS
from tools.kernel_cases import ODD_FLOATS, ODD_WHOLES, Buffer, Case, Random, maybe_odd, one_in

_LOOSE, _CLOSE, _COSINE, _GROWTH, _KEYPOINT = 0.35, 0.1, 0.87, 2.0, 0.2


def similar_case(random: Random) -> Case:
    """The matches of some pairs of pictures: which agree with one another, and whether a map may be found."""
    case = Case()
    pairs = int(random.integers(1, 5))
    lengths = random.integers(0, 60, pairs)
    lengths[0] += 1
    ends = np.concatenate([[0], lengths.cumsum()]).astype(np.int64)
    columns = _matches(random, int(ends[-1]))
    count, longest = int(ends[-1]), int(lengths.max(initial=0))
    given = [case.given(one) for one in columns]
    seeds = int(random.integers(0, count + 1))
    told = int(random.choice([count + 1, *ODD_WHOLES[:3]])) if one_in(random, 50) else seeds
    limits = _limits(random, [8.0, _LOOSE, _CLOSE, _COSINE, _GROWTH])
    results = (case.written(seeds * count) for _ in range(2))
    room = case.scratch(8 * _COLUMNS * count)
    case.call("featmatch_similar", *given, count, told, case.given(limits), room, *results)
    _may_fit(case, random, given, ends, longest)
    return case


def _may_fit(case: Case, random: Random, given: list[Buffer], ends: NDArray[np.int64], longest: int) -> None:
    pairs, count, seeds = len(ends) - 1, int(ends[-1]), min(longest, int(random.integers(0, 70)))
    tolerances = random.choice([0.5, 4.0, 50.0], pairs)
    enough = random.integers(0, 12, pairs)
    if one_in(random, 20):
        ends = ends.copy()
        ends[random.integers(pairs + 1)] = random.choice(ODD_WHOLES)
    if one_in(random, 20) and pairs:
        tolerances[0], enough[-1] = random.choice(ODD_FLOATS), random.choice(ODD_WHOLES)
    shown = longest - 1 if one_in(random, 50) else longest
    limits = case.given(_limits(random, [_LOOSE, _CLOSE, _COSINE, _GROWTH, _KEYPOINT]))
    rooms = [case.scratch(size) for size in (8 * _COLUMNS * longest, _MASKS * longest, 8 * seeds)]
    agreeing = (case.scratch(seeds * longest) for _ in range(2))
    case.call(
        "featmatch_may_fit", *given, min(maybe_odd(random, count), count), case.given(ends), pairs,
        case.given(tolerances), case.given(enough), limits, seeds, shown, *rooms, *agreeing, case.written(pairs),
    )  # fmt: skip


def _limits(random: Random, usual: list[float]) -> NDArray[np.float64]:
    limits = np.array(usual)
    if one_in(random, 20):
        limits[random.integers(len(limits))] = random.choice(ODD_FLOATS)
    return limits


def _matches(random: Random, count: int) -> list[NDArray[np.float64]]:
    """In the query, in the reference, and how they are turned: some by one map, in few places at times."""
    query, reference = random.uniform(0, 400, (2, count, 2))
    if one_in(random, 4):
        query, reference = np.rint(query / 80), np.rint(reference / 80)
    turns = random.normal(0, 1, (count, 2))
    alike = random.random(count) < random.choice([0, 0.3, 1])
    angle, scale = random.uniform(0, 7), random.choice([0.5, 1, 3])
    way = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    reference[alike] = query[alike] @ way.T + random.normal(0, random.choice([0, 1, 5]), (int(alike.sum()), 2))
    turns[alike] = way[:, 0]
    columns = [query, reference, turns]
    if one_in(random, 8) and count:
        columns[random.integers(3)][random.integers(count)] = random.choice(ODD_FLOATS, 2)
    return columns
