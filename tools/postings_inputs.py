"""Inputs for the kernels of posting lists: small indexes, sound and damaged, and queries of all kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.native.postings import _LISTS, _SCORED
from featmatch.store.segment import parts_of
from tools.kernel_cases import ODD_WHOLES, Buffer, Case, Random, maybe_odd, one_in

VARIANTS = 3  # of a query


def postings_case(random: Random) -> Case:
    """A search: votes for all images, the best of these, hits of some or of what stands for them, and rows of some."""
    case = Case()
    images = int(random.integers(1, 300))
    lists, query = _lists_and_query(case, random, images)
    distances = int(random.integers(1, 25)) if one_in(random, 2) else 65
    steps = random.choice([-1, 1, 0.3, 1.5], distances).astype(np.float32)
    calls = [
        ("featmatch_hits", (lists, query, int(random.integers(-1, 66)), *_hit_arguments(case, random, images))),
        ("featmatch_scan", (lists, query, case.given(np.abs(steps)), *_votes(case, random, distances, images))),
        ("featmatch_best", _best_arguments(case, random, images)),
        ("featmatch_rows", _row_arguments(case, random, images)),
    ]
    for number in random.permutation(len(calls)):
        case.call(calls[number][0], *calls[number][1])
    return case


def _lists_and_query(case: Case, random: Random, images: int) -> tuple[Buffer, Buffer]:
    """Some words with their lists; signatures are near to one another, so that there are hits."""
    words = int(random.integers(1, 12))
    long = 200 if one_in(random, 8) else 30
    lengths = random.integers(0, long, words) * (random.random(words) < 0.8)
    parts = int(random.choice([1, 1, 2, 16, 256]))
    postings = int(lengths.sum())
    centre = random.integers(0, 1 << 63, dtype=np.uint64)
    signatures = _near(random, centre, postings)
    of_images = random.integers(0, images, postings).astype(np.uint32)
    own = np.repeat(np.arange(words), lengths) * parts + parts_of(signatures, parts)
    order = np.lexsort((of_images, own))
    of_images, signatures = of_images[order], signatures[order]
    offsets = np.concatenate([[0], np.bincount(own, minlength=words * parts).cumsum()]).astype(np.uint32)
    entries = int(random.integers(0, 60))
    asked = random.integers(0, words, entries).astype(np.int32)
    _damage(random, offsets, of_images, asked)
    shown = (offsets, of_images, signatures)
    told = int(random.choice([0, 3, 512, -1])) if one_in(random, 50) else parts
    lists = case.record(*(case.given(one) for one in shown), words, told, postings)
    weights = random.choice([1.0, 0.25, 7.3], entries).astype(np.float32)
    fixed = random.choice([0, 0, 1, 0x81, 0xF0, 0xFF], entries).astype(np.uint8)
    variants = random.integers(0, VARIANTS, entries).astype(np.int32)
    if entries and one_in(random, 50):
        variants[random.integers(entries)] = random.choice([-1, VARIANTS])
    of_query = (asked, _near(random, centre, entries), weights, fixed, variants)
    nearest_first, all_but_one = (int(one) for one in random.integers(2, size=2))
    return lists, case.record(*(case.given(one) for one in of_query), entries, nearest_first, all_but_one)


def _near(random: Random, centre: np.uint64, count: int) -> NDArray[np.uint64]:
    """Signatures in which some bits differ from those of the centre."""
    flipped = np.full(count, 0xFFFF_FFFF_FFFF_FFFF, np.uint64)
    for _ in range(int(random.integers(1, 4))):
        flipped &= random.integers(0, 1 << 63, count, np.uint64)
    return np.asarray(centre ^ flipped, np.uint64)


def _damage(random: Random, offsets: NDArray[Any], images: NDArray[Any], words: NDArray[Any]) -> None:
    """One number of one column, now and then: as an index of a stranger may have it."""
    column = (offsets, images, words)[random.integers(3)]
    if len(column) and one_in(random, 10):
        values = [-1, 0, 1 << 31, (1 << 31) - 1, int(column.max()) + 1, len(images) + 1]
        column[random.integers(len(column))] = np.int64(random.choice(values)).astype(column.dtype)
    if len(images) and one_in(random, 20):
        random.shuffle(images)


def _votes(case: Case, random: Random, distances: int, images: int) -> tuple[Buffer | int, ...]:
    """Distances, the limit of hits, room for keys; votes, for too few images at times; and room for hits."""
    images = int(random.integers(0, images + 1)) if one_in(random, 20) else images
    distances = int(random.choice([*ODD_WHOLES[:4], distances])) if one_in(random, 50) else distances
    room = int(random.choice([1300, 1300, 1300, 10, 0]))
    keys = case.scratch(8 * room), case.scratch(8 * room)
    votes, capacity = case.given(np.zeros(VARIANTS * images, np.float32)), int(random.choice([0, 3, 300]))
    limit = maybe_odd(random, int(random.integers(-1, 66))) if one_in(random, 3) else 0
    return distances, limit, *keys, room, votes, VARIANTS, images, _room_for_hits(case, capacity)


def _best_arguments(case: Case, random: Random, images: int) -> tuple[Buffer | int, ...]:
    votes = random.choice([0, 0, 0, 1e-40, 1, 2, 3.5], VARIANTS * images).astype(np.float32)
    weights = random.choice([1, 0.5, 0.37], images).astype(np.float32)
    count, blocks = int(random.integers(1, 40)), VARIANTS * -(-images // _SCORED)
    heap, above = case.scratch(4 * count), case.scratch(blocks)
    capacity = int(random.integers(0, 2 * count))
    told = -count if one_in(random, 50) else count, int(random.integers(-1, blocks)) if one_in(random, 50) else blocks
    shown = (case.given(votes), VARIANTS, case.given(weights), images)
    return *shown, heap, told[0], above, told[1], case.written(8 * capacity), capacity


def _row_arguments(case: Case, random: Random, images: int) -> tuple[Buffer | int, ...]:
    postings = int(random.integers(0, 200))
    of_images = random.integers(0, images + one_in(random, 100), postings).astype(np.uint32)
    wanted = random.choice([0, 0, 1, 255], images).astype(np.uint8)
    room = max(postings - one_in(random, 100), 0)
    rows = case.given(np.full(room, -1, np.int64))
    return case.given(of_images), postings, case.given(wanted), images, rows, room


def _hit_arguments(case: Case, random: Random, images: int) -> tuple[Buffer | int, ...]:
    wanted = np.unique(random.integers(0, images + 3, random.integers(0, 12))).astype(np.uint32)
    if one_in(random, 20):
        random.shuffle(wanted)
    if len(wanted) and one_in(random, 20):
        wanted[-1] = 0xFFFF_FFFF
    room = int(random.choice([_LISTS * len(wanted), len(wanted), 2 * len(wanted) + 1]))
    capacity = int(random.integers(0, 100))
    told = room - 1 if one_in(random, 50) and len(wanted) == room else room
    count = len(wanted) if not one_in(random, 50) else min(maybe_odd(random, -1), 0)
    starts = case.scratch(8 * room)
    return case.given(wanted), count, starts, told, _room_for_hits(case, capacity)


def _room_for_hits(case: Case, capacity: int) -> Buffer:
    return case.record(*(case.written(size * capacity) for size in (4, 8, 4, 1)), capacity)
