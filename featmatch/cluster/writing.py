"""Making a cluster, adding to it, and splitting a shard. One writer at a time, by a lock in the folder."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from featmatch.cluster.layout import MOST_NAMES, MOST_REPLICAS, MOST_SHARDS, SLOTS, Layout, slot_of, strange_shards
from featmatch.cluster.opening import open_shards
from featmatch.cluster.turns import take_turn
from featmatch.errors import StoreError, UsageError
from featmatch.features.extraction import FeatureOptions
from featmatch.store.catalog import Catalog
from featmatch.store.compaction import compact
from featmatch.store.creation import create_index
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CATALOG, CLUSTER_FILE, LOCK
from featmatch.store.numbers import CLUSTER
from featmatch.store.reader import Reader
from featmatch.store.removal import remove_images
from featmatch.store.writing import become_writer, hold_writer_lock
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
