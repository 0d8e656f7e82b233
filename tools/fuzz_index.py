"""Damage the files of an index at random, then open, check and query it: no crash, no hang, no memory eaten.

    python -m tools.fuzz_index --mutations 20000

Each mutated index is opened, queried, and checked, in a forked child that has 10 s for it:
whatever is wrong must come as a ``FeatmatchError``, and ``check`` must see it. Every 20th is repaired as well, and must
then be clean and complete when its files are added again, or be told to be beyond repair.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import featmatch
from featmatch import FeatmatchError, FeatureOptions, Features, Index, Vocabulary
from featmatch.images.pixels import GreyImage
from featmatch.search import query
from featmatch.system import arrays
from tools.small_index import draw_pictures, index_in_this_process, settle, small_index, small_vocabulary

SECONDS = 10
MOST_BYTES = 2 << 30
_BATCH = 50  # mutations for each child; one after the other, to find the culprit, where that ends badly


@dataclass
class Fuzz:
    """An index to damage.

    Attributes:
        folder: to work in.
        seed: of all that is random.
        tally: how often what came of it.
        failures: what should not have happened, in words.
        largest: memory of a child, bytes.
    """

    folder: Path
    vocabulary: Vocabulary
    seed: int = 1
    tally: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    largest: int = 0

    def __post_init__(self) -> None:
        settle()
        index_in_this_process()
        self._pictures = draw_pictures(self.folder / "pictures", 12)
        self._index = self.folder / "index"
        index = small_index(self._index, self.vocabulary)
        for part in (self._pictures[:6], self._pictures[6:9], self._pictures[9:]):
            index.add(part, jobs=1)
        index.remove([str(self._pictures[1])])
        _extract_once(self._pictures[2], index.options)
        index.query(self._pictures[2])  # what is loaded now need not be loaded by each child
        self._files = sorted(path for path in self._index.rglob("*") if path.is_file() and path.name != "writer.lock")
        self._contents = {path: path.read_bytes() for path in self._files}

    def run(self, mutations: int) -> None:
        """Try so many mutated indexes, a batch in each child."""
        for first in range(0, mutations, _BATCH):
            numbers = range(first, min(first + _BATCH, mutations))
            if not self._tried(numbers):
                for number in numbers:
                    if not self._tried(range(number, number + 1), keep=True):
                        self.failures.append(f"mutation {number} (--seed {self.seed}) ended its process")
            self.tally["mutations"] += len(numbers)

    def _tried(self, numbers: range, keep: bool = False) -> bool:
        """Whether a child came through these; what it found goes to the tally."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            tally: Counter[str] = Counter()
            failures: list[str] = []
            for number in numbers:
                signal.alarm(SECONDS)
                self._try(number, tally, failures)
            os.write(writing, json.dumps([tally, failures]).encode())
            os._exit(0)
        os.close(writing)
        with open(reading, "rb") as pipe:
            told = pipe.read()
        _, status, usage = os.wait4(child, 0)
        for path, content in self._contents.items():  # a child that crashed left its damage
            if not path.is_file() or path.read_bytes() != content:
                path.write_bytes(content)
        if status != 0 or not told:
            return False
        self.largest = max(self.largest, usage.ru_maxrss * 1024)
        tally, failures = json.loads(told)
        self.tally.update(tally)
        self.failures.extend(failures)
        if self.largest > MOST_BYTES:
            self.failures.append(f"mutations {numbers} took {self.largest} bytes")
        return True

    def _try(self, number: int, tally: Counter[str], failures: list[str]) -> None:
        """One mutated index: opened, queried, checked, and now and then repaired."""
        chance = random.Random(f"{self.seed} {number}")
        path = chance.choice(self._files)
        arrays.MAPPED_BYTES = chance.choice((0, 1 << 20))
        with self._mutated(path, chance) as told:
            name = f"mutation {number} (--seed {self.seed}, {path.relative_to(self._index)}, {told})"
            try:
                Index.open(self._index).query(self._pictures[2])
                tally["answered"] += 1
            except FeatmatchError:
                tally["refused"] += 1
            except Exception as error:
                failures.append(f"{name}: {type(error).__name__}: {error}")
            try:
                seen = not featmatch.check(self._index)
            except FeatmatchError:
                seen = True
            except Exception as error:
                failures.append(f"{name}: check: {type(error).__name__}: {error}")
                return
            if not seen:
                failures.append(f"{name}: check did not see it")
            if number % 20 == 0:
                self._repair(name, tally, failures)

    def _repair(self, name: str, tally: Counter[str], failures: list[str]) -> None:
        copy = self.folder / f"copy-{os.getpid()}"
        shutil.copytree(self._index, copy)
        try:
            report = featmatch.check(copy, repair=True)
            if report:
                kept = self._pictures[:1] + self._pictures[2:]
                Index.open(copy).add(kept, jobs=1)
                names = {record.name for record in Index.open(copy).images()}
                if not {str(path) for path in kept} <= names or not featmatch.check(copy):
                    failures.append(f"{name}: adding after the repair does not complete it")
            tally["repaired" if report else "beyond repair"] += 1
        except FeatmatchError:
            tally["beyond repair"] += 1
        except Exception as error:
            failures.append(f"{name}: repair: {type(error).__name__}: {error}")
        finally:
            shutil.rmtree(copy)

    @contextlib.contextmanager
    def _mutated(self, path: Path, chance: random.Random) -> Iterator[str]:
        """A file with some of its bytes changed; what was done to it, in words."""
        before = self._contents[path]
        content, told = before, ""
        while content == before:
            content, told = mutated(before, chance, self._contents)
        path.write_bytes(content)
        try:
            yield told
        finally:
            path.write_bytes(before)


def mutated(content: bytes, chance: random.Random, others: dict[Path, bytes]) -> tuple[bytes, str]:
    """Change a content in one of several ways; the ways are told in words."""
    place, start = chance.randrange(len(content)), chance.randrange(len(content))
    width = chance.choice((1, 2, 4, 8))
    extreme = chance.choice((0, 1, (1 << 8 * width) - 1, 1 << 8 * width - 1, (1 << 8 * width - 1) - 1))
    ways = {
        f"bit at {place}": _patched(content, place, bytes([content[place] ^ 1 << chance.randrange(8)])),
        f"bytes at {place}": _patched(content, place, chance.randbytes(chance.choice((1, 2, 8, 64)))),
        # whole numbers are aligned in columns, and mostly in pages
        f"{extreme} at {place}": _patched(content, place - place % width, extreme.to_bytes(width, "little")),
        f"truncated to {place}": content[:place],
        "longer": content + chance.randbytes(chance.choice((1, 32, 5000))),
        f"{start} to {place}": _patched(content, place, content[start : start + chance.choice((4, 64, 4096))]),
        "another file's content": chance.choice(list(others.values())),
    }
    told = chance.choice([*ways, *list(ways)[:3] * 2])
    return ways[told], told


def _patched(content: bytes, place: int, part: bytes) -> bytes:
    return (content[:place] + part + content[place + len(part) :])[: len(content)]


def _extract_once(picture: Path, options: FeatureOptions) -> None:
    """Let all queries of this process have the features of one picture: it is the index that is tried here."""
    features = featmatch.extract(picture, options)

    def extracted(grey: GreyImage, options: FeatureOptions) -> Features:
        del grey, options
        return features

    vars(query)["extract_grey"] = extracted


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description="Damage an index at random, then open, check and query it.")
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="featmatch-fuzz-") as folder:
        fuzz = Fuzz(Path(folder), small_vocabulary(), arguments.seed)
        fuzz.run(arguments.mutations)
    print(json.dumps({**fuzz.tally, "failures": len(fuzz.failures), "largest_bytes": fuzz.largest}))
    for failure in fuzz.failures:
        print(failure)
    return 1 if fuzz.failures else 0


if __name__ == "__main__":
    sys.exit(main())
