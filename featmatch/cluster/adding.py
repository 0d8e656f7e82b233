"""Adding to a cluster: files -> the shards that hold their contents, with numbers in the order of adding.

This machine reads the files, for one shard after the other; or the processes of a workshop do, for all shards at once,
and send parcels. In either case this process alone writes to the shards.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from featmatch.adding.batches import BATCH_IMAGES, AddOptions, AddReport, Target, add_files, are_pictures_kept
from featmatch.adding.one_image import Failure
from featmatch.cluster.layout import Layout
from featmatch.cluster.opening import open_shards
from featmatch.cluster.parcels import (
    Made,
    NewFile,
    Sorting,
    commit_parcels,
    folder_of_parcels,
    make_parcels,
    parcels_of,
)
from featmatch.cluster.tasks import Workshop, done_in_order
from featmatch.cluster.turns import Turn, take_turn
from featmatch.images.archives import is_archive
from featmatch.images.contents import content_of
from featmatch.names import absolute, whole_file
from featmatch.store.compaction import merge_due
from featmatch.store.generation import change_catalog
from featmatch.store.places import Naming
from featmatch.store.reader import Reader
from featmatch.store.writing import become_writer
from featmatch.system.progress import Progress
from featmatch.system.workers import Lost

_TASK_FILES = 100  # seconds of work, so that little is done twice where a process ends


def add_to_cluster(
    folder: Path,
    paths: Sequence[str],
    options: AddOptions,
    *,
    root: str | None,
    wait: bool,
    progress: Progress,
    workshop: Workshop | None = None,
) -> AddReport:
    """Index files and folders: each in the shard that holds its content, with a number in the order of adding.

    Done again, it goes on where it ended: what is there is skipped, and nothing is there twice.

    Args:
        folder: of the cluster.
        paths: as for ``Index.add``.
        options: as for ``Index.add``.
        root: where the collection is now.
        wait: for another writer to end.
        progress: called with files done and in all.
        workshop: whose processes read the files, which they see under the same paths; None: those of this machine.

    Raises:
        StoreError: another writer is at work, or the cluster cannot be written or is damaged.
        UsageError: a path has no name.
    """
    with take_turn(folder, wait=wait) as (turn, former):
        readers = open_shards(folder, root, former)
        naming, names = _named(folder, paths, readers, wait)
        report = AddReport()
        pending = _not_as_known(readers, names, report)
        newest = max(reader.snapshot.catalog.newest() for reader in readers)
        number = max(former.next_number, newest + 1)
        layout = turn.write(replace(former, next_number=number + len(pending)))
        numbers = {names[file]: number + place for place, file in enumerate(pending)}
        targets = [
            Target(reader.folder, naming, reader.options, len(reader.vocabulary), numbers, turn.check)
            for reader in readers
        ]
        own_progress = _shifted(progress, len(names) - len(pending), len(names))
        adding = _Adding(turn, layout, readers, targets, options, own_progress, report)
        if workshop is None:
            adding.add_here(pending)
        else:
            adding.add_by(
                workshop, [NewFile(absolute(file), file, names[file], numbers[names[file]]) for file in pending]
            )
        turn.check()
        _forget_former(readers, adding.keepers)
    return report


def _named(folder: Path, paths: Sequence[str], readers: Sequence[Reader], wait: bool) -> tuple[Naming, dict[str, str]]:
    """The files at some paths with their names, in order, and how they are named, which is kept in all shards."""
    first, *others = readers
    with become_writer(first, wait=wait):
        naming, files = first.whereabouts.prepare_addition(paths, first.snapshot.catalog)
    for reader in others:  # those that get nothing now, too: names are relative to one folder in all
        with become_writer(reader, wait=wait):
            reader.whereabouts.keep(naming, paths, files, reader.snapshot.catalog)
    inside = os.path.realpath(folder) + os.sep
    return naming, {file: naming.name_of(file) for file in files if not os.path.realpath(file).startswith(inside)}


def _not_as_known(readers: Sequence[Reader], names: Mapping[str, str], report: AddReport) -> list[str]:
    """The files that no shard has with the size and time that they have now."""
    stamps: dict[str, tuple[int, int]] = {}
    for reader in readers:
        stamps |= reader.snapshot.catalog.stamps_of(names.values())
    pending: list[str] = []
    for file, name in names.items():
        if is_archive(file):
            report.failed.append(Failure(file, "decode_failed", "archives are not added to a cluster; unpack it"))
            continue
        with contextlib.suppress(OSError):
            state = os.stat(whole_file(file))
            if stamps.get(name) == (state.st_size, state.st_mtime_ns):
                report.skipped.append(name)
                continue
        pending.append(file)
    return pending


@dataclass
class _Adding:
    """One run of adding.

    Attributes:
        turn: of this writer.
        layout: which shard holds what.
        readers: of the shards.
        targets: the same, to be added to.
        options: how files are read.
        progress: called with files done and in all, of those that are not as they are known.
        report: filled as the work goes on.
        keepers: by name, the number of the shard that holds what its file is now.
    """

    turn: Turn
    layout: Layout
    readers: Sequence[Reader]
    targets: Sequence[Target]
    options: AddOptions
    progress: Progress
    report: AddReport
    keepers: dict[str, int] = field(default_factory=dict)

    def add_here(self, files: Sequence[str]) -> None:
        """Add files, those of one shard after those of the other."""
        parts: dict[int, list[str]] = {}
        for file in files:
            try:
                content = content_of(file)
            except OSError:
                content = 64 * "0"  # decoding it says what is wrong
            parts.setdefault(self.layout.shard_of(content), []).append(file)
        done = 0
        for shard, part in sorted(parts.items()):
            with become_writer(self.readers[shard], wait=True):
                added = add_files(
                    part, self.targets[shard], self.options, progress=_shifted(self.progress, done, len(files)),
                    committed=partial(self._merge, shard),
                )  # fmt: skip
            self.keepers |= dict.fromkeys([*added.added, *added.skipped], shard)
            self.report.include(added)
            done += len(part)

    def add_by(self, workshop: Workshop, files: Sequence[NewFile]) -> None:
        """Let other processes read files; commit what they send, in order, for each shard when it has enough.

        Whatever ends it early, what was sent is committed first.
        """
        folder, number = Path(absolute(str(self.turn.folder))), self.turn.number
        pictures = [are_pictures_kept(target, self.options.pictures) for target in self.targets]
        # They are many, and each reads one file at a time.
        options = replace(self.options, jobs=1)
        sorting = Sorting(folder, number, self.layout, self.targets[0].options, options, pictures)
        parts = [files[start : start + _TASK_FILES] for start in range(0, len(files), _TASK_FILES)]
        waiting: dict[int, list[Path]] = {}
        images: Counter[int] = Counter()  # in them

        def commit(shard: int) -> None:
            del images[shard]
            self._commit(shard, waiting.pop(shard))

        done = 0
        with folder_of_parcels(folder, number):
            made = done_in_order(workshop, make_parcels, ((part, sorting) for part in parts))
            try:
                with contextlib.closing(made):
                    for part, one in zip(parts, made, strict=True):
                        for name, shard, count in self._sent(part, one):
                            waiting.setdefault(shard, []).append(parcels_of(folder, number) / name)
                            images[shard] += count
                            if images[shard] >= BATCH_IMAGES:
                                commit(shard)
                        done += len(part)
                        self.progress(done, len(files))
            finally:
                for shard in sorted(waiting):
                    commit(shard)

    def _sent(self, files: Sequence[NewFile], made: Made | Lost) -> list[tuple[str, int, int]]:
        """The parcels that some files came to."""
        if isinstance(made, Lost):
            self.report.failed.extend(Failure(file.given, "decode_failed", made.reason) for file in files)
            return []
        self.report.failed.extend(made.failures)
        return made.parcels

    def _commit(self, shard: int, parcels: Sequence[Path]) -> None:
        reader = self.readers[shard]
        with become_writer(reader, wait=True):
            self.turn.check()  # another writer would have deleted the parcels
            names = commit_parcels(self.targets[shard], parcels, self.options.text, self.report)
            self._merge(shard)
        self.keepers |= dict.fromkeys(names, shard)

    def _merge(self, shard: int) -> None:
        self.turn.check()
        merge_due(self.readers[shard])


def _forget_former(readers: Sequence[Reader], keepers: Mapping[str, int]) -> None:
    """Take names of files that changed out of the shards that hold what they were before.

    Args:
        readers: of the shards.
        keepers: by name, the number of the shard that holds what its file is now.
    """
    for number, reader in enumerate(readers):
        known = reader.snapshot.catalog.known_among(keepers)
        former = [name for name, keeper in keepers.items() if keeper != number and name in known]
        if former:
            with become_writer(reader, wait=True), change_catalog(reader.snapshot.catalog.path) as change:
                change.remove(former)


def _shifted(progress: Progress, before: int, every: int) -> Progress:
    """Progress of a part, told as that of the whole, of which so much is done before."""
    return lambda done, _: progress(before + done, every)
