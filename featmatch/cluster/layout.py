"""What lies in the folder of a cluster: shards, which are indexes, and ``cluster.json``, which says what each holds.

The file is replaced by a rename, as a catalogue is: each is a generation, and readers need no lock.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featmatch.errors import StoreError
from featmatch.store.layout import CLUSTER_FILE, open_index_file
from featmatch.store.numbers import IDS
from featmatch.store.values import MOST
from featmatch.system.files import flush_folder, replace_file

PARCELS = "parcels"  # folder of what is on its way into the shards
SLOTS = 4096  # of contents: three hexadecimal digits
MOST_SHARDS, MOST_REPLICAS = 1000, 100
MOST_NAMES = 10_000  # that shards ever have had

_VERSION = 1
_MOST_BYTES = 1 << 20
_SHARD = re.compile(r"shard-\d{4}", re.ASCII)
_IDENTITY = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True)
class Layout:
    """Which shard holds what.

    Attributes:
        identity: tells the cluster from all others; each shard has it in its description.
        vocabulary: fingerprint of the vocabulary of all shards.
        shards: names of their folders, by number.
        slots: (SLOTS,) number of the shard that holds the contents of each slot.
        replicas: processes that answer for each shard, where it is served by several machines.
        next_number: of the next image; numbers are given in blocks, in the order of adding.
        generation: how often this was changed.
        turn: number of the last writer (``turns.py``).
        next_shard: of the next shard; 0: one more than those that are there.
    """

    identity: str
    vocabulary: str
    shards: tuple[str, ...]
    slots: tuple[int, ...]
    replicas: int = 2
    next_number: int = 1
    generation: int = 0
    turn: int = 0
    next_shard: int = 0

    @classmethod
    def read(cls, folder: Path) -> Layout:
        """The newest generation.

        Raises:
            StoreError: there is none, or it is damaged.
        """
        path = folder / CLUSTER_FILE
        try:
            with open_index_file(path) as file:
                told = json.loads(file.read(_MOST_BYTES))
            return cls._of(told)
        except OSError as error:
            raise StoreError(f"{folder} is no cluster, or none that may be read: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(f"{path} is damaged: {error!r:.200}") from error

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> Layout:
        if told["version"] != _VERSION:
            raise ValueError(f"it has format {told['version']!r:.20}; this featmatch reads {_VERSION}")
        shards, slots = tuple(told["shards"]), tuple(told["slots"])
        if not 1 <= len(set(shards)) == len(shards) <= MOST_SHARDS or not all(map(_SHARD.fullmatch, shards)):
            raise ValueError("its shards are none")
        if len(slots) != SLOTS or not all(type(slot) is int and 0 <= slot < len(shards) for slot in slots):
            raise ValueError("its slots are none")
        ends = {"replicas": MOST_REPLICAS, "next_number": IDS, "generation": MOST}
        numbers = [told[name] for name in ends]
        if not all(type(one) is int and 1 <= one <= end for one, end in zip(numbers, ends.values(), strict=True)):
            raise ValueError("a number is none")
        newer = {name: told.get(name, 0) for name in ("turn", "next_shard")}  # former versions wrote none
        if not all(type(one) is int and 0 <= one <= MOST for one in newer.values()):
            raise ValueError("a number is none")
        if not _IDENTITY.fullmatch(told["identity"]) or not isinstance(told["vocabulary"], str):
            raise ValueError("it does not say what it is")
        return cls(told["identity"], told["vocabulary"], shards, slots, *numbers, **newer)

    def write(self, folder: Path) -> Layout:
        """Make this the next generation, which is returned. The caller holds the cluster's lock.

        Raises:
            StoreError: it cannot be written.
        """
        new = replace(self, generation=self.generation + 1)
        try:
            with replace_file(folder / CLUSTER_FILE) as file:
                file.write(json.dumps({"version": _VERSION, **vars(new)}, indent=None).encode())
            flush_folder(folder)
        except OSError as error:
            raise StoreError(f"cannot write {folder / CLUSTER_FILE}: {error.strerror or error}") from error
        return new

    def shard_of(self, content: str) -> int:
        """The number of the shard that holds a content (SHA-256, hexadecimal)."""
        return self.slots[slot_of(content)]

    def free_shard(self) -> int:
        """The first number of a shard that was never used."""
        return max(self.next_shard, 1 + max(int(name.rpartition("-")[2]) for name in self.shards))

    def folders(self, folder: Path) -> list[Path]:
        """Where the shards are, by number."""
        return [folder / name for name in self.shards]


def slot_of(content: str) -> int:
    """The slot of a content (SHA-256, hexadecimal).

    >>> slot_of("fff" + 61 * "0")
    4095
    """
    return int(content[:3], 16)


def is_cluster(path: str | os.PathLike[str]) -> bool:
    """Whether this is the folder of a cluster."""
    return os.path.isfile(os.path.join(path, CLUSTER_FILE))


def strange_shards(folder: Path, layout: Layout) -> list[str]:
    """Names of folders that look like shards of a cluster, and are none: a split that ended early left them."""
    names = {path.name for path in folder.iterdir() if _SHARD.fullmatch(path.name)}
    return sorted(names - set(layout.shards))
