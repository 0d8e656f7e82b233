"""What a kernel is called with, as kernel_driver.c reads it: buffers, and calls that share them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from featmatch.native import library as libraries

Random: TypeAlias = np.random.Generator

GIVEN, WRITTEN, SCRATCH, RECORD = range(4)  # as kernel_driver.c has them
FUNCTIONS = tuple(libraries._SIGNATURES)  # a kernel's number is its place

ODD_FLOATS = (np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 1e-42, 1e9, -1e9, 3e38)
ODD_WHOLES = (-(1 << 63), -(1 << 31), -1, 0, 1, 1 << 30, (1 << 31) - 1, 1 << 31, (1 << 63) - 1)


@dataclass(frozen=True)
class Buffer:
    """Memory that is handed to kernels: its place among the buffers of a case."""

    number: int


@dataclass
class Case:
    """Calls of kernels, one after the other, until one refuses.

    Attributes:
        packed: the buffers, as kernel_driver.c reads them.
        buffers: how many.
        calls: likewise.
        called: names of the kernels.
    """

    packed: list[bytes] = field(default_factory=list)
    buffers: int = 0
    calls: list[bytes] = field(default_factory=list)
    called: list[str] = field(default_factory=list)

    def given(self, array: NDArray[Any]) -> Buffer:
        """What a kernel reads, or goes on with."""
        return self._buffer(array.nbytes, GIVEN, array.tobytes())

    def written(self, size: int) -> Buffer:
        """What a kernel writes results to, bytes; they are compared."""
        return self._buffer(size, WRITTEN)

    def scratch(self, size: int) -> Buffer:
        """Memory to work in, bytes; what is left in it means nothing."""
        return self._buffer(size, SCRATCH)

    def record(self, *fields: Buffer | int) -> Buffer:
        """A struct of C whose fields are pointers to buffers and int64."""
        words = [word for one in fields for word in (isinstance(one, Buffer), _word(one))]
        return self._buffer(8 * len(fields), RECORD, struct.pack(f"<{len(words)}q", *words))

    def call(self, name: str, *arguments: Buffer | int | float) -> None:
        """A kernel with its arguments; whole numbers and floats are told apart by their type."""
        words = [_word(one) for one in arguments]
        self.called.append(name)
        self.calls.append(struct.pack(f"<{2 + len(words)}q", FUNCTIONS.index(name), len(words), *words))

    def message(self) -> bytes:
        """All of it, as kernel_driver.c reads it."""
        counts = struct.pack("<q", self.buffers), struct.pack("<q", len(self.calls))
        return b"".join([counts[0], *self.packed, counts[1], *self.calls])

    def _buffer(self, size: int, kind: int, content: bytes = b"") -> Buffer:
        self.packed.append(struct.pack("<qq", size, kind) + content)
        self.buffers += 1
        return Buffer(self.buffers - 1)


def _word(argument: Buffer | int | float) -> int:
    if isinstance(argument, Buffer):
        return argument.number
    if isinstance(argument, float):
        return int(np.float32(argument).view(np.int32))
    return int(argument)


def one_in(random: Random, count: int) -> bool:
    """Once in so many times."""
    return bool(random.random() * count < 1)


def maybe_odd(random: Random, value: int, chance: int = 40) -> int:
    """A whole number, and once in ``chance`` times one that is next to it or out of all bounds."""
    if not one_in(random, chance):
        return value
    return value + int(random.integers(-2, 3)) if one_in(random, 2) else int(random.choice(ODD_WHOLES))
