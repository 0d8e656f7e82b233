"""Add, remove, compact, refresh and query at random for long, against a plain dict: same answers, and nothing grows.

python -m tools.soak --operations 20000
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import featmatch
from featmatch import Index, Vocabulary
from tools.small_index import (
    draw_pictures,
    index_in_this_process,
    memory_bytes,
    open_handles,
    settle,
    small_index,
    small_vocabulary,
)

_OPERATIONS = ("add",) * 6 + ("remove",) * 4 + ("refresh",) * 4 + ("query",) * 6
_COMPACT_EVERY = 200  # operations, about
_MOST_GROWTH_BYTES = 32 << 20


@dataclass
class Soak:
    """An index, a writer and a reader of it, and what should be in it.

    Attributes:
        folder: to work in.
        seed: of all that is random.
        tally: how often what was done.
        failures: what was not as the model has it, in words.
        usage: handles, files and bytes in memory, as time went by.
    """

    folder: Path
    vocabulary: Vocabulary
    seed: int = 1
    contents: int = 30
    tally: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    usage: list[dict[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        settle()
        index_in_this_process()
        self._random = random.Random(self.seed)
        self._pool = draw_pictures(self.folder / "pool", self.contents)
        (self.folder / "photos").mkdir()
        self._names = [str(self.folder / "photos" / f"{number:02d}.png") for number in range(2 * self.contents)]
        self._disk: dict[str, Path] = {}
        self._model: dict[str, Path] = {}
        self._writer = small_index(self.folder / "index", self.vocabulary)
        self._reader = Index.open(self.folder / "index")
        self._seen: dict[str, Path] = {}

    def run(self, operations: int) -> None:
        """Do so many operations, then see that what they left is whole and no larger than it should be."""
        for number in range(operations):
            kind = "compact" if self._random.random() < 1 / _COMPACT_EVERY else self._random.choice(_OPERATIONS)
            self.tally[kind] += 1
            getattr(self, f"_{kind}")()
            if number % max(operations // 20, 1) == 0:
                self._measure()
        self._compact()
        self._refresh()
        self._measure()
        if not (report := featmatch.check(self.folder / "index")) or report.leftovers:
            self.failures.append(f"check: {report}")
        if len(self._writer.snapshot.segments) > 1:
            self.failures.append("several segments are left after compact")
        start, end = self.usage[len(self.usage) // 3], self.usage[-1]  # by then, all caches are full
        if end["handles"] > start["handles"] or end["memory"] > start["memory"] + _MOST_GROWTH_BYTES:
            self.failures.append(f"it grew from {start} to {end}")

    def _add(self) -> None:
        names = self._random.sample(self._names, self._random.randint(1, 3))
        for name in names:
            if name not in self._disk or self._random.random() < 0.5:
                self._disk[name] = self._random.choice(self._pool)
                Path(name).write_bytes(self._disk[name].read_bytes())
        changed = {name for name in names if self._model.get(name) != self._disk[name]}
        report = self._writer.add(names, jobs=1)
        if set(report.added) != changed or set(report.skipped) != set(names) - changed or report.failed:
            self.failures.append(f"add reported {report}, where {changed} had changed")
        self._model.update({name: self._disk[name] for name in names})

    def _remove(self) -> None:
        names = self._random.sample(self._names, self._random.randint(1, 4))
        gone = self._writer.remove(names)
        if gone != [name for name in names if name in self._model]:
            self.failures.append(f"remove reported {gone}")
        for name in gone:
            del self._model[name]

    def _compact(self) -> None:
        self._writer.compact()

    def _refresh(self) -> None:
        self._reader.refresh()
        self._seen = dict(self._model)
        records = [record.name for record in self._reader.images()]
        if sorted(records) != sorted(self._seen) or len(self._reader) != len(self._seen):
            self.failures.append("the names are not those of the model")

    def _query(self) -> None:
        """The reader answers as of its last refresh."""
        picture = self._random.choice(self._pool)
        found = {match.name for match in self._reader.query(picture, limit=100, forms="none")}
        if found != {name for name, content in self._seen.items() if content == picture}:
            self.failures.append(f"{picture} is found as {sorted(found)}")

    def _measure(self) -> None:
        files = sum(len(names) for _, _, names in os.walk(self.folder / "index"))
        self.usage.append({"handles": open_handles(), "files": files, "memory": memory_bytes()})


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description="Use an index for long, against a plain dict.")
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="featmatch-soak-") as folder:
        soak = Soak(Path(folder), small_vocabulary(), arguments.seed)
        soak.run(arguments.operations)
    print(json.dumps({**soak.tally, "failures": len(soak.failures)}))
    for usage in (soak.usage[0], soak.usage[len(soak.usage) // 3], soak.usage[-1]):
        print(json.dumps(usage))
    for failure in soak.failures:
        print(failure)
    return 1 if soak.failures else 0


if __name__ == "__main__":
    sys.exit(main())
