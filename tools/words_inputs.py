"""Inputs for the kernels of visual words: a few centres, sound and damaged, and a few descriptors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featmatch.native.words import _BLOCK, _GROUP, MOST_SIZE
from tools.kernel_cases import ODD_FLOATS, ODD_WHOLES, Buffer, Case, Random, one_in

_SIGNATURE = 64  # bits


def words_case(random: Random) -> Case:
    """Centres are packed; then cells are probed, words looked for, or signatures made."""
    case = Case()
    size = int(random.integers(1, 30))
    if one_in(random, 30):
        size = int(random.choice([64, 128, 488, MOST_SIZE]))
    number, count = int(random.integers(0, 40)), int(random.integers(1, 9))
    descriptors = case.given(_bytes(random, number, size))
    told = int(random.choice([-1, (1 << 31) - 1, -(1 << 63)])) if one_in(random, 100) else number
    found = int(random.choice([-1, 0, (1 << 31) - 1])) if one_in(random, 100) else count
    match random.integers(3):
        case 0:
            cells = _centres(case, random, size, 1, int(random.integers(0, 100)))
            room = case.written(8 * number * count)
            case.call("featmatch_words_probe", cells, _unit(random, 2), descriptors, told, found, room)
        case 1:
            _look_for_words(case, random, size, (descriptors, told, number), (found, count))
        case 2:
            _sign(case, random, size, (descriptors, told, number), (found, count))
    return case


def _bytes(random: Random, count: int, size: int) -> NDArray[np.uint8]:
    """Vectors: of any bytes, of a few, so that there are ties, or the brightest."""
    least, most = ((0, 256), (0, 2), (0, 3), (255, 256))[random.integers(4)]
    return random.integers(least, most, (count, size), np.uint8)


def _unit(random: Random, times: int = 1) -> float:
    """What one step of a descriptor is in centres, so many times."""
    return float(random.choice([1, 255]) * times if not one_in(random, 100) else random.choice([*ODD_FLOATS, 510.1]))


def _centres(case: Case, random: Random, size: int, spans: int, count: int) -> Buffer:
    """Packed ones. What is said of them is wrong at times; then packing is refused, or else what comes after it."""
    offsets = np.sort(random.integers(0, count + 1, spans + 1))
    offsets[0], offsets[-1] = 0, count
    vectors = _bytes(random, count, size)
    blocks = int((-(-np.diff(offsets) // _BLOCK)).sum())
    shown = offsets.copy()
    said = [spans, size, blocks]
    if one_in(random, 40):
        said[0] = int(random.choice(ODD_WHOLES[:4]))
    elif one_in(random, 40):
        said[1] = int(random.choice([0, -1, MOST_SIZE + 1, *ODD_WHOLES]) if size > 1 else 0)
    elif one_in(random, 40):
        said[2] = blocks + int(random.choice([-1, 1, 1 << 40]))
    elif one_in(random, 20):
        # Not one that fits as well: how many centres there are is believed, as they were packed for that.
        shown[random.integers(spans + 1)] = random.choice([one for one in ODD_WHOLES if one not in (0, 1)])
    packed = case.written(blocks * _BLOCK * _GROUP * -(-size // _GROUP))
    norms, given = case.written(4 * blocks * _BLOCK), case.given(vectors)
    sound = case.record(packed, norms, case.given(offsets), spans, size, blocks)
    told = case.record(packed, norms, case.given(shown), *said)
    if one_in(random, 2):
        case.call("featmatch_words_pack", told, given, count)
    case.call("featmatch_words_pack", sound, given, count)
    return told


def _look_for_words(
    case: Case, random: Random, size: int, given: tuple[Buffer, int, int], wanted: tuple[int, int]
) -> None:
    descriptors, told, number = given
    found, count = wanted
    spans, forms, probes = (int(random.integers(1, most)) for most in (8, 5, 5))
    words = _centres(case, random, size, spans, int(random.integers(0, 150)))
    permutations = np.stack([random.permutation(size) for _ in range(forms)]).astype(np.int32)
    probed = random.integers(0, spans * forms, (number, probes))
    if one_in(random, 20):
        permutations[-1, -1] = random.choice([-1, size, -(1 << 31), (1 << 31) - 1])
    if one_in(random, 20) and number:
        probed[-1, -1] = random.choice([spans * forms, *ODD_WHOLES])
    places = number * probes + spans + 2
    workspace = case.scratch(8 * places)
    looked = case.given(permutations), int(random.integers(-1, forms)) if one_in(random, 40) else forms
    places -= one_in(random, 40)
    room = case.written(8 * number * count)
    arguments = (words, _unit(random, 2), descriptors, told, *looked, case.given(probed), probes, workspace, places)
    case.call("featmatch_words_nearest", *arguments, found, room)


def _sign(case: Case, random: Random, size: int, given: tuple[Buffer, int, int], wanted: tuple[int, int]) -> None:
    descriptors, told, number = given
    found, count = wanted
    rows = _SIGNATURE if not one_in(random, 20) else int(random.choice([0, 1, 63, 65]))
    projection = _centres(case, random, size, 1, rows)
    words, forms = int(random.integers(1, 20)), int(random.integers(1, 5))
    ids = random.integers(0, words * forms, (number, count)).astype(np.int32)
    if one_in(random, 20) and number:
        ids[-1, -1] = random.choice([-1, words * forms, -(1 << 31), (1 << 31) - 1])
    signs = random.choice([-1.0, 1.0], (forms, _SIGNATURE)).astype(np.float32)
    told_words = int(random.choice([-1, 0, 1, 1 << 24])) if one_in(random, 40) and not number else words
    arguments = (projection, _unit(random), descriptors, told, case.given(_bytes(random, words, size)), told_words)
    room = case.written(8 * number * count)
    case.call("featmatch_words_sign", *arguments, case.given(signs), forms, case.given(ids), found, room)
