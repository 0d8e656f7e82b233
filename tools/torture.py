"""Kill writers of an index at every step and at random moments, fail their system calls, and see that nothing is lost.

    python -m tools.torture --kills 400

A parent keeps a plain model of what is in the index. Again and again a forked child adds, removes, compacts, repairs
or says that two images are (no) copies, and is killed (SIGKILL) before or after its n-th system call of the commit
protocol, or at a random moment, or gets an error from that call, or may write no more than so many bytes to a file,
or may not write at all. Then: the index opens, ``check`` finds nothing, every image and verdict is there as before or
as after, what was reported done is there, queries find what should be found, and doing the same again completes it.
All the time another process reads.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

import featmatch
from featmatch import FeatmatchError, Index, Vocabulary
from featmatch.adding import batches
from featmatch.grouping import finding
from featmatch.store.layout import PAIRS
from featmatch.system.files import sha256_of
from tools.faults import Fault, suffered
from tools.small_index import draw_pictures, index_in_this_process, settle, small_index, small_vocabulary

Names = dict[str, str]  # name -> SHA-256 of its file
KINDS = ("add", "remove", "compact", "accept", "reject")


@dataclass(frozen=True)
class State:
    """What is in an index: its images, and what was said of pairs of contents (SHA-256, the lesser first)."""

    names: Names = field(default_factory=dict)
    verdicts: dict[tuple[str, str], bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """What a writer is told to do."""

    kind: str  # one of ``KINDS``
    names: tuple[str, ...] = ()

    def run(self, index: Index) -> None:
        """Do it."""
        if self.kind == "add":
            index.add(self.names, jobs=1)
        elif self.kind == "remove":
            index.remove(self.names)
        elif self.kind == "compact":
            index.compact()
        else:
            (index.accept if self.kind == "accept" else index.reject)(*self.names)

    def outcome(self, before: State, disk: Names) -> State:
        """What is in the index when it is done."""
        if self.kind == "add":
            return replace(before, names=before.names | {name: disk[name] for name in self.names})
        if self.kind == "remove":
            return replace(before, names={name: before.names[name] for name in before.names.keys() - set(self.names)})
        if self.kind == "compact":
            return before
        a, b = sorted(before.names[name] for name in self.names)
        return replace(before, verdicts=before.verdicts | {(a, b): self.kind == "accept"})


@dataclass
class Torture:
    """One index and what should be in it.

    Attributes:
        folder: to work in.
        seed: of all that is random.
        tally: how often what happened.
        failures: what should not have happened, in words.
    """

    folder: Path
    vocabulary: Vocabulary
    seed: int = 1
    contents: int = 24
    tally: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        settle()
        index_in_this_process()
        batches.BATCH_IMAGES = 3  # several commits each time
        self._random = random.Random(self.seed)
        self._pool = draw_pictures(self.folder / "pool", self.contents)
        self._sha_of = {path: sha256_of(path) for path in self._pool}
        self._index = self.folder / "index"
        small_index(self._index, self.vocabulary)
        self._disk: Names = {}
        self._model = State()
        self.folder.chmod(0o755)
        (self.folder / "photos").mkdir()
        for number in range(self.contents):
            self._place(str(self.folder / "photos" / f"{number:02d}.png"))

    def every_step(self) -> None:
        """Kill each kind of operation before and after each of its steps, and let each step fail once."""
        for kind in KINDS:
            for way in ("before", "after", "EIO"):
                for step in itertools.count(1):
                    operation = self._prepared(kind)
                    if self.strike(operation, Fault(way, step)) < step:
                        break  # it has no such step

    def creations(self, steps: range) -> None:
        """Kill the creation of an index at some of its steps; another process must then be able to make it."""
        folder = self.folder / "created"
        for step in steps:
            for way in ("before", "after"):
                ended = self._in_child(lambda: small_index(folder, self.vocabulary), folder, Fault(way, step))
                self.tally["operations"] += 1
                self.tally["create"] += 1
                self.tally["kills"] += ended == "killed"
                try:
                    small_index(folder, self.vocabulary).add(self._pool[:1], jobs=1)
                    if not (report := featmatch.check(folder)) or report.leftovers:
                        self.failures.append(f"create with {way} at {step}: {report}")
                except FeatmatchError as error:
                    self.failures.append(f"create with {way} at {step}: {error}")
                shutil.rmtree(folder)

    def repairs(self, steps: range) -> None:
        """Kill the repair of a damaged segment at some of its steps; repairing again and adding must complete it."""
        for step in steps:
            for way in ("before", "after"):
                self._prepared("compact")
                column = self._random.choice(sorted((self._index / "segments").glob("*/size.npy")))
                content = column.read_bytes()
                damaged = self.folder / "damaged"
                damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
                damaged.replace(column)  # at once: somebody reads all the time
                ended = self._in_child(lambda: featmatch.check(self._index, repair=True), self._index, Fault(way, step))
                self.tally["operations"] += 1
                self.tally["repair"] += 1
                self.tally["kills"] += ended == "killed"
                try:
                    featmatch.check(self._index, repair=True)
                    Index.open(self._index).add(sorted(self._model.names), jobs=1)
                except FeatmatchError as error:
                    self.failures.append(f"repair with {way} at {step}: {error}")
                self._verified(f"repair with {way} at {step}", [self._model])

    def groupings(self, faults: Iterable[Fault]) -> None:
        """Let the search for groups suffer faults; then and afterwards they must be those of a run without any."""
        finding._BLOCK_IMAGES = 3  # several records each time
        folder = self.folder / "grouped"
        copies = self.folder / "copies"
        copies.mkdir()
        for path in self._pool[:6]:
            Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(copies / Path(path).name)
        small_index(folder, self.vocabulary).add([*self._pool[:9], copies], jobs=1)
        expected = _groups(folder)
        if len(expected) != 6:
            self.failures.append(f"{len(expected)} groups of 6")

        def group() -> None:
            if _groups(folder) != expected:
                raise AssertionError("other groups")

        for fault in faults:
            (folder / PAIRS).unlink(missing_ok=True)
            ended = self._in_child(group, folder, fault).partition(" after ")[0]
            self.tally["operations"] += 1
            self.tally["groups"] += 1
            self.tally["kills"] += ended == "killed"
            if ended not in ("done", "killed", "error"):
                self.failures.append(f"groups with {fault.kind} at {fault.number:g}: {ended}")
            if (
                not featmatch.check(folder)
                or _groups(folder) != expected
                or len(expected) != len(list(copies.iterdir()))
            ):
                self.failures.append(f"groups with {fault.kind} at {fault.number:g}: not the same afterwards")

    def at_random(self, kills: int) -> None:
        """Go on with random operations and faults until there were so many more kills."""
        enough = self.tally["kills"] + kills
        while self.tally["kills"] < enough:
            kind = self._random.choice(("add", *KINDS))
            way = self._random.choice(("before", "after", "later", "later", "later", "ENOSPC", "full", "read-only"))
            number = {"later": self._random.uniform(0, 0.3), "full": self._random.choice((0, 100, 5000, 20_000))}.get(
                way, self._random.randint(1, 120)
            )
            self.strike(self._prepared(kind), Fault(way, number))

    def strike(self, operation: Operation, fault: Fault) -> float:
        """Let a writer suffer a fault, then see that all is well; return how many steps it took, if it knew."""
        before, after = self._model, operation.outcome(self._model, self._disk)
        ended, _, steps = self._operated(operation, fault).partition(" after ")
        self.tally["operations"] += 1
        self.tally[operation.kind] += 1
        told = f"{operation.kind} with {fault.kind or 'no fault'} at {fault.number:g}"
        if ended == "killed":
            self.tally["kills"] += 1
        elif ended == "error":
            self.tally["faults"] += 1
        elif ended != "done":
            self.failures.append(f"{told}: {ended}")
        self._model = self._verified(told, [after] if ended == "done" else _states(operation, before, after))
        if ended != "done":
            if not self._operated(operation, Fault()).startswith("done"):
                self.failures.append(f"{told}: doing it again does not complete it")
            self._model = self._verified(f"{told}, done again", [after])
            left = featmatch.check(self._index).leftovers
            if left:
                self.failures.append(f"{told}, done again: left over: {left}")
        return float(steps or "inf")

    def _prepared(self, kind: str) -> Operation:
        """An operation that has something to do."""
        if kind == "add":
            names = self._random.sample(sorted(self._disk), 5)
            for name in names:
                self._place(name)
            return Operation("add", tuple(names))
        while len(self._model.names) < 8 or kind == "compact":
            missing = sorted(set(self._disk) - set(self._model.names))[:4] or sorted(self._disk)[:4]
            for name in missing:
                self._place(name)
            Index.open(self._index).add(missing, jobs=1)
            self._model = Operation("add", tuple(missing)).outcome(self._model, self._disk)
            if kind == "compact":
                break
        one_of_each = {sha: name for name, sha in sorted(self._model.names.items())}
        choices = {"remove": (sorted(self._model.names), 3), "compact": ([], 0)}
        return Operation(kind, tuple(self._random.sample(*choices.get(kind, (sorted(one_of_each.values()), 2)))))

    def _place(self, name: str) -> None:
        """Write another content to a file."""
        source = self._random.choice([path for path in self._pool if self._sha_of[path] != self._disk.get(name)])
        Path(name).write_bytes(source.read_bytes())
        self._disk[name] = self._sha_of[source]

    def _operated(self, operation: Operation, fault: Fault) -> str:
        return self._in_child(lambda: operation.run(Index.open(self._index)), self._index, fault)

    def _in_child(self, work: Callable[[], object], index: Path, fault: Fault) -> str:
        """Work on an index in a process of its own: "done after N" steps, "error", "killed", or what else it was."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            os.write(writing, suffered(work, index, fault).encode())
            os._exit(0)
        os.close(writing)
        if fault.kind == "later":
            time.sleep(fault.number)
            os.kill(child, signal.SIGKILL)
        with open(reading, "rb") as pipe:
            told = pipe.read().decode()
        _, status = os.waitpid(child, 0)
        return told or ("killed" if os.WIFSIGNALED(status) else "ended without a word")

    def _verified(self, told: str, allowed: list[State]) -> State:
        """See that the index is whole and in one of the states that it may be in; return that state."""
        try:
            report = featmatch.check(self._index)
            if not report:
                self.failures.append(f"{told}: {report.problems}")
            index = Index.open(self._index)
            said = index.snapshot.catalog.rows("SELECT lower(hex(a)), lower(hex(b)), copy FROM verdicts")
            state = State(
                {record.name: record.sha256 for record in index.images()}, {(a, b): bool(copy) for a, b, copy in said}
            )
            if state not in allowed:
                self.failures.append(f"{told}: in a state that is neither before nor after")
            for path in self._random.sample(self._pool, 2):
                expected = {name for name, sha in state.names.items() if sha == self._sha_of[path]}
                found = index.query(path, limit=100, forms="none")
                if {match.name for match in found if match.verdict is None} != expected:
                    self.failures.append(f"{told}: {path} is not found where it should be")
            return state
        except FeatmatchError as error:
            self.failures.append(f"{told}: {error}")
            return self._model


def _grouping_faults(steps: range) -> Iterator[Fault]:
    """Each kind at each of these steps, and those that need no step."""
    for step in steps:
        for way in ("before", "after", "ENOSPC", "EIO"):
            yield Fault(way, step)
    for size in (0, 10, 100, 5000):
        yield Fault("full", size)
    yield from (Fault("later", 0.05), Fault("read-only"))


def _groups(folder: Path) -> list[dict[str, Any]]:
    return [group.to_dict() for group in Index.open(folder).groups(jobs=1)]


def _states(operation: Operation, before: State, after: State) -> list[State]:
    """What may be in the index when a writer did not end well: an addition is done batch by batch, the rest at once.

    What is there already is named first, the rest in batches in order, so each state is a mix of old and new values;
    all mixes are allowed, since each name by itself is as before or as after.
    """
    if operation.kind != "add":
        return [before, after]
    changed = [name for name in operation.names if before.names.get(name) != after.names[name]]
    states = []
    for count in range(len(changed) + 1):
        for new in itertools.combinations(changed, count):
            states.append(replace(before, names=before.names | {name: after.names[name] for name in new}))
    return states


class Reader:
    """A process that reads an index all the time and keeps count of what goes wrong."""

    def __init__(self, index: Path, pictures: list[Path]) -> None:
        reading, writing = os.pipe()
        self._pipe = reading
        self._child = os.fork()
        if self._child == 0:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit())
            told: dict[str, Any] = {}
            try:
                for now in _reads(index, pictures):
                    told = now
            finally:
                os.write(writing, json.dumps(told).encode())
                os._exit(0)
        os.close(writing)

    def ended(self) -> dict[str, Any]:
        """Stop it: how many reads it made, the slowest look for something new (s), and what failed."""
        os.kill(self._child, signal.SIGTERM)
        with open(self._pipe, "rb") as pipe:
            told: dict[str, Any] = json.loads(pipe.read())
        os.waitpid(self._child, 0)
        return told


def _reads(folder: Path, pictures: list[Path]) -> Iterator[dict[str, Any]]:
    index = Index.open(folder)
    slowest, parent = 0.0, os.getppid()
    for reads in itertools.count(1):
        try:
            started = time.perf_counter()
            index.refresh()
            slowest = max(slowest, time.perf_counter() - started)
            index.query(pictures[reads % len(pictures)], limit=100)
            if reads % 10 == 0:
                index = Index.open(folder)
            if os.getppid() != parent:
                return  # nobody is left to read for
            time.sleep(0.01)  # the writers are to have the processor too
        except Exception as error:
            yield {"reads": reads, "slowest": slowest, "failure": f"{type(error).__name__}: {error}"}
            return
        yield {"reads": reads, "slowest": slowest, "failure": ""}


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description="Kill writers of an index, and see that nothing is lost.")
    parser.add_argument("--kills", type=int, default=400, help="so many at random, after those at each step")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="featmatch-torture-") as folder:
        torture = Torture(Path(folder), small_vocabulary(), arguments.seed)
        reader = Reader(Path(folder) / "index", sorted((Path(folder) / "pool").iterdir()))
        try:
            torture.creations(range(1, 30))
            torture.groupings(_grouping_faults(range(1, 60)))
            torture.every_step()
            torture.repairs(range(1, 80, 2))
            torture.at_random(arguments.kills)
        finally:
            reads = reader.ended()
    print(json.dumps({"seed": arguments.seed, **torture.tally, "failures": len(torture.failures), "reader": reads}))
    for failure in torture.failures:
        print(failure)
    return 1 if torture.failures or reads["failure"] else 0


if __name__ == "__main__":
    sys.exit(main())
