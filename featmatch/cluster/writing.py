"""Making a cluster, adding to it, and splitting a shard. One writer at a time, by a lock in the folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from featmatch.adding.batches import AddOptions, AddReport, Target, add_files
from featmatch.adding.one_image import Failure
from featmatch.cluster.layout import MOST_NAMES, MOST_REPLICAS, MOST_SHARDS, SLOTS, Layout, slot_of, strange_shards
from featmatch.cluster.opening import open_shards
from featmatch.cluster.turns import take_turn
from featmatch.errors import StoreError, UsageError
from featmatch.features.extraction import FeatureOptions
from featmatch.images.archives import is_archive
from featmatch.images.contents import content_of
from featmatch.names import whole_file
from featmatch.store.catalog import Catalog
from featmatch.store.compaction import compact, merge_due
from featmatch.store.creation import create_index
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CATALOG, CLUSTER_FILE, LOCK
from featmatch.store.numbers import CLUSTER
from featmatch.store.reader import Reader
from featmatch.store.removal import remove_images
from featmatch.store.writing import become_writer, hold_writer_lock
from featmatch.system.progress import Progress
from featmatch.system.trust import trust_alike
from featmatch.words.vocabulary import Vocabulary


def create_cluster(
    folder: Path,
    shards: int,
    replicas: int,
    options: FeatureOptions | None = None,
    vocabulary: Vocabulary | None = None,
) -> Layout:
    """Make an empty cluster; ``cluster.json`` comes last, so half of one is none.

    Args:
        folder: where; it may exist, if it is empty or half of a cluster.
        shards: how many.
        replicas: processes that answer for each shard, where it is served by several machines.
        options: how features are taken; None: as ``add`` does.
        vocabulary: visual words; None: those that are shipped.

    Raises:
        StoreError: it cannot be made there, or is there already.
        UsageError: there cannot be so many shards or replicas.
        VocabularyError: the vocabulary is for another detector.
    """
    if not 1 <= shards <= MOST_SHARDS or not 1 <= replicas <= MOST_REPLICAS:
        most = f"1 to {MOST_SHARDS} shards and 1 to {MOST_REPLICAS} replicas"
        raise UsageError(f"a cluster has {most}, not {shards} and {replicas}")
    names = tuple(f"shard-{number:04d}" for number in range(shards))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _see_that_it_is_free(folder, names)  # before a lock is left there
    except OSError as error:
        raise StoreError(f"cannot make a cluster in {folder}: {error.strerror or error}") from error
    with hold_writer_lock(folder):
        _see_that_it_is_free(folder, names)  # another process may have been quicker
        identity = uuid.uuid4().hex
        for name in names:
            create_index(folder / name, options, vocabulary)
        first = Reader(folder / names[0])
        first.verify_made_with(options, vocabulary)
        for name in names:
            _see_that_it_is_like(first, folder / name)
        for name in names:
            with change_catalog(folder / name / CATALOG) as change:
                change.describe(CLUSTER, identity)
        fingerprint = first.vocabulary.fingerprint
        slots = tuple(slot * shards // SLOTS for slot in range(SLOTS))
        return Layout(identity, fingerprint, names, slots, replicas).write(folder)


def _see_that_it_is_free(folder: Path, names: Sequence[str]) -> None:
    strange = sorted(entry.name for entry in folder.iterdir() if entry.name not in {*names, LOCK})
    if strange:
        what = "is a cluster already" if CLUSTER_FILE in strange else f"holds other things, such as {strange[0]}"
        raise StoreError(f"{folder} {what}")


def _see_that_it_is_like(first: Reader, folder: Path) -> None:
    """See that a shard, which may be of a run that ended early, is empty and was made as the first one was."""
    catalog, other = Catalog(folder / CATALOG), first.snapshot.catalog
    if catalog.newest() or any(catalog.meta.get(key) != other.meta.get(key) for key in ("features", "vocabulary")):
        raise StoreError(f"{folder} was there before and does not fit: it has images, or other features")


def add_to_cluster(
    folder: Path, paths: Sequence[str], options: AddOptions, *, root: str | None, wait: bool, progress: Progress
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

    Raises:
        StoreError: another writer is at work, or the cluster cannot be written or is damaged.
        UsageError: a path has no name.
    """
    report = AddReport()
    with take_turn(folder, wait=wait) as (turn, former):
        readers = open_shards(folder, root, former)
        first, *others = readers
        with become_writer(first, wait=wait):
            naming, files = first.whereabouts.prepare_addition(paths, first.snapshot.catalog)
        for reader in others:  # those that get nothing now, too: names are relative to one folder in all
            with become_writer(reader, wait=wait):
                reader.whereabouts.keep(naming, paths, files, reader.snapshot.catalog)
        inside = os.path.realpath(folder) + os.sep
        files = [file for file in files if not os.path.realpath(file).startswith(inside)]
        names = {file: naming.name_of(file) for file in files}
        pending = _not_known(readers, names, report)
        newest = max(reader.snapshot.catalog.newest() for reader in readers)
        number = max(former.next_number, newest + 1)
        layout = turn.write(replace(former, next_number=number + len(pending)))
        numbers = {names[file]: number + place for place, file in enumerate(pending)}
        parts: list[list[str]] = [[] for _ in readers]
        for file, content in pending.items():
            parts[layout.shard_of(content)].append(file)
        done = len(files) - len(pending)
        for reader, part in zip(readers, parts, strict=True):
            if part:
                target = Target(reader.folder, naming, reader.options, len(reader.vocabulary), numbers, turn.check)
                report.include(_add_part(reader, target, part, options, _shifted(progress, done, len(files))))
                done += len(part)
        there = {*report.added, *report.skipped}
        keepers = {names[file]: layout.shard_of(content) for file, content in pending.items() if names[file] in there}
        turn.check()
        _forget_former(readers, keepers)
    return report


def remove_from_cluster(folder: Path, names: Sequence[str], *, wait: bool = False) -> list[str]:
    """Remove images by name, or by the path of the file, wherever they are; return those of ``names`` that were there.

    Raises:
        StoreError: another writer is at work, or the cluster cannot be written or is damaged.
    """
    gone: set[str] = set()
    with take_turn(folder, wait=wait) as (turn, layout):
        for reader in open_shards(folder, layout=layout):
            with become_writer(reader, wait=True):
                turn.check()
                gone.update(remove_images(reader, names))
    return [name for name in dict.fromkeys(names) if name in gone]


def _not_known(readers: Sequence[Reader], names: dict[str, str], report: AddReport) -> dict[str, str]:
    """The files that no shard has as they are now, with their contents; what cannot be read has none of its own."""
    stamps: dict[str, tuple[int, int]] = {}
    for reader in readers:
        stamps |= reader.snapshot.catalog.stamps_of(names.values())
    pending: dict[str, str] = {}
    for file, name in names.items():
        if is_archive(file):
            report.failed.append(Failure(file, "decode_failed", "archives are not added to a cluster; unpack it"))
            continue
        with contextlib.suppress(OSError):
            state = os.stat(whole_file(file))
            if stamps.get(name) == (state.st_size, state.st_mtime_ns):
                report.skipped.append(name)
                continue
        try:
            pending[file] = content_of(file)
        except OSError:
            pending[file] = 64 * "0"  # decoding it says what is wrong
    return pending


def _add_part(
    reader: Reader, target: Target, files: Sequence[str], options: AddOptions, progress: Progress
) -> AddReport:
    def merge() -> None:
        target.check()
        merge_due(reader)

    with become_writer(reader, wait=True):
        return add_files(files, target, options, progress=progress, committed=merge)


def _forget_former(readers: Sequence[Reader], keepers: dict[str, int]) -> None:
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
    return lambda done, _: progress(before + done, every)


def split_shard(folder: Path, number: int, *, wait: bool = False) -> Layout:
    """Make two shards of one, each with half of its slots.

    Both begin as copies, and drop what the other is to hold. Then ``cluster.json`` names them in place of the former
    one, which is deleted; so whoever opens the cluster sees the same images all the time, and who has it open sees them
    in the new shards after ``refresh``. Ended early, it is done again from the start.

    Args:
        folder: of the cluster.
        number: of the shard.
        wait: for another writer to end.

    Raises:
        StoreError: another writer is at work, or the cluster cannot be written or is damaged.
        UsageError: there is no such shard, or it has one slot only.
    """
    with take_turn(folder, wait=wait) as (turn, former):
        if not 0 <= number < len(former.shards):
            raise UsageError(f"there is no shard {number}; the last one is {len(former.shards) - 1}")
        slots = [slot for slot, shard in enumerate(former.slots) if shard == number]
        free = former.free_shard()
        if len(slots) < 2 or len(former.shards) == MOST_SHARDS or free + 2 > MOST_NAMES:
            raise UsageError("it cannot be split further")
        halves = set(slots[: len(slots) // 2]), set(slots[len(slots) // 2 :])
        old, names = folder / former.shards[number], [f"shard-{free + half:04d}" for half in range(2)]
        reserved = turn.write(replace(former, next_shard=free + 2))  # so that no other writer ever uses these names
        for left in strange_shards(folder, former):  # of a run that ended early
            shutil.rmtree(folder / left, ignore_errors=True)
        with become_writer(Reader(old), wait=True):
            try:
                for name, own in zip(names, halves, strict=True):
                    _copy(old, folder / name)
                    _keep_only(Reader(folder / name), own)
                turn.check()
            except BaseException:  # a full disk, above all, which is not to stay full
                for name in names:
                    shutil.rmtree(folder / name, ignore_errors=True)
                raise
            shards = [*former.shards, names[1]]
            shards[number] = names[0]
            owners = (len(former.shards) if slot in halves[1] else shard for slot, shard in enumerate(former.slots))
            layout = turn.write(replace(reserved, shards=tuple(shards), slots=tuple(owners)))
        shutil.rmtree(old, ignore_errors=True)
    return layout


def _copy(old: Path, new: Path) -> None:
    try:
        shutil.copytree(old, new, ignore=shutil.ignore_patterns(LOCK))
        trust_alike(new, old)
    except (OSError, shutil.Error) as error:
        raise StoreError(f"cannot copy {old} to {new}: {error}") from error


def _keep_only(reader: Reader, slots: set[int]) -> None:
    """Drop the images of other slots from a shard."""
    with become_writer(reader):
        with change_catalog(reader.snapshot.catalog.path) as change:
            change.remove([record.name for record in reader.images() if slot_of(record.sha256) not in slots])
        reader.refresh()
        compact(reader)
