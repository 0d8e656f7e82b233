"""Inputs for the kernels of small pictures: px to reduce and pack, and any bytes to unpack."""

from __future__ import annotations

import numpy as np

from tools.kernel_cases import Case, Random, maybe_odd, one_in

_MOST_SIDE = 1024  # as picture.c has it


def small_picture_case(random: Random) -> Case:
    """A picture is reduced, packed and unpacked; or bytes of all kinds are unpacked."""
    case = Case()
    height, width = _size(random)
    step = int(random.integers(1, 256)) if one_in(random, 2) else int(random.choice([1, 24, 48, 255]))
    told = [maybe_odd(random, one, 400) for one in (height, width)]
    # That the px are there is believed: what is told may be less, or refused.
    told = [one if one <= side or one > _MOST_SIDE else side for one, side in zip(told, (height, width), strict=True)]
    step = maybe_odd(random, step, 100)
    if one_in(random, 2):
        pixels = random.integers(0, 256, (height, width), np.uint8)
        if one_in(random, 2):
            pixels = np.sort(pixels.reshape(-1)).reshape(height, width)  # soft, and so few bits a px
        given, room = case.given(pixels), int(random.integers(0, 5 * pixels.size + 64))
        rows, columns = (int(random.integers(1, side + 1)) for side in (height, width))
        case.call(
            "featmatch_reduce", given, height, width, rows, columns,
            case.scratch(4 * width), case.written(rows * columns),
        )  # fmt: skip
        case.call("featmatch_picture_pack", given, *told, step, case.written(room), room)
        return case
    length = int(random.choice([0, 1, 4, 5, 60, 2000]))
    content = random.integers(0, 256, length, np.uint8) | np.uint8(random.choice([0, 255, 128]))
    case.call(
        "featmatch_picture_unpack", case.given(content), length, *told, step, case.written(height * width)
    )  # fmt: skip
    return case


def _size(random: Random) -> tuple[int, int]:
    """Height and width: of few px, as a rule; thin pictures can be long."""
    height, width = (int(2 ** random.uniform(0, 6)) for _ in range(2))
    if one_in(random, 100):
        height, width = (int(random.integers(1, 9)), _MOST_SIDE)[:: random.choice([-1, 1])]
    return height, width
