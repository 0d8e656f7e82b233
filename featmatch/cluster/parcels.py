"""New images on their way into a cluster: files that wait beside its shards, each with some images of one of them.

Whatever process reads image files writes parcels; the writer of the cluster alone commits them. A parcel that is
written twice replaces itself. Images that are committed twice are there once, since they are known by their content.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from featmatch.adding.batches import AddOptions, AddReport, Entry, Target, commit_batch, in_processes
from featmatch.adding.one_image import Failure, IndexedFile, Origin, index_file
from featmatch.cluster.layout import PARCELS, Layout
from featmatch.errors import StoreError
from featmatch.features.extraction import FeatureOptions
from featmatch.features.looks import LOOK
from featmatch.images.contents import content_of
from featmatch.names import whole_file
from featmatch.store.catalog import Catalog
from featmatch.store.layout import CATALOG, VOCABULARY, open_index_file
from featmatch.system.byte_forms import from_bytes, to_bytes
from featmatch.system.files import replace_file


class NewFile(NamedTuple):
    """A file that is to be added.

    Attributes:
        path: of it, from the root of the file system on.
        given: the same path as the caller gave it.
        name: in the cluster.
        number: of its image, if that is new.
    """

    path: str
    given: str
    name: str
    number: int


class NewImage(NamedTuple):
    """What is to be in a shard under a name; only the origin of what is there already."""

    name: str
    number: int
    found: IndexedFile | Origin


class Made(NamedTuple):
    """What some files came to.

    Attributes:
        parcels: name, shard and number of images of each parcel.
        failures: of files that make no image.
    """

    parcels: list[tuple[str, int, int]]
    failures: list[Failure]


@dataclass(frozen=True)
class Sorting:
    """How files are made parcels.

    Attributes:
        folder: of the cluster, from the root of the file system on.
        turn: of the writer that wants it.
        layout: which shard holds what.
        features: how they are taken.
        options: how files are read.
        pictures: of each shard, whether it keeps small pictures of its images.
    """

    folder: Path
    turn: int
    layout: Layout
    features: FeatureOptions
    options: AddOptions
    pictures: Sequence[bool]

    def shard_folder(self, shard: int) -> Path:
        """Where a shard is."""
        return self.folder / self.layout.shards[shard]


_PARCEL = tuple[NewImage, ...]


def parcels_of(folder: Path, turn: int) -> Path:
    """Where the parcels of a writer are, by the number of its turn."""
    return folder / PARCELS / f"{turn:010d}"


def make_parcels(files: Sequence[NewFile], sorting: Sorting) -> Made:
    """Read some files, and write a parcel for each shard that is to hold any of them.

    Raises:
        StoreError: a shard cannot be read, or a parcel not written, as where another writer took over.
    """
    catalogs: dict[int, Catalog] = {}

    def origin_there(file: NewFile, content: str) -> Origin | None:
        shard = sorting.layout.shard_of(content)
        if shard not in catalogs:
            catalogs[shard] = Catalog(sorting.shard_folder(shard) / CATALOG)
        if catalogs[shard].image_with(content) is None:
            return None
        state = os.stat(whole_file(file.path))
        return Origin(content, state.st_size, state.st_mtime_ns)

    found: dict[str, IndexedFile | Origin | Failure] = {}
    tasks = []
    vocabulary = sorting.shard_folder(0) / VOCABULARY
    for file in files:
        try:
            content = content_of(file.path)
            known = origin_there(file, content)
        except OSError:
            content, known = 64 * "0", None  # decoding it says what is wrong
        if known is None:
            pictures = sorting.pictures[sorting.layout.shard_of(content)]
            tasks.append((file.path, vocabulary, sorting.features, sorting.options.decoding, pictures))
        else:
            found[file.path] = known
    found |= dict(in_processes(index_file, tasks, sorting.options))
    failures: list[Failure] = []
    parts: dict[int, list[NewImage]] = {}
    for file in files:
        one = found[file.path]
        if isinstance(one, Failure):
            failures.append(replace(one, name=file.given))
        else:
            parts.setdefault(sorting.layout.shard_of(one.sha256), []).append(NewImage(file.name, file.number, one))
    into = parcels_of(sorting.folder, sorting.turn)
    return Made([(_write(into, shard, images), shard, len(images)) for shard, images in parts.items()], failures)


def _write(into: Path, shard: int, images: Sequence[NewImage]) -> str:
    """Write a parcel; return its name, which no other images ever have, as numbers are given once."""
    name = f"{images[0].number:015d}-{shard:04d}"
    try:
        with replace_file(into / name) as file:
            file.write(to_bytes(tuple(images), _PARCEL, records=LOOK))
    except OSError as error:
        raise StoreError(f"cannot write {into / name}: {error.strerror or error}") from error
    return name


def read_parcel(path: Path) -> tuple[NewImage, ...]:
    """The images of a parcel.

    Raises:
        StoreError: it cannot be read, or is damaged.
    """
    try:
        with open_index_file(path) as file:
            images: tuple[NewImage, ...] = from_bytes(file.read(), _PARCEL, records=LOOK)
    except (OSError, ValueError) as error:
        raise StoreError(f"the parcel {path} is damaged: {error}") from error
    return images


def commit_parcels(target: Target, paths: Sequence[Path], text: str | None, report: AddReport) -> list[str]:
    """Put the images of parcels into their shard, and delete the parcels; return the names that are there then.

    Args:
        target: the shard. The caller holds the writer's lock.
        paths: of parcels.
        text: kept with what is new.
        report: told what was added.
    """
    images = [image for path in paths for image in read_parcel(path)]
    catalog = Catalog(target.catalog)
    new = {image.found.sha256 for image in images if isinstance(image.found, IndexedFile)}
    entries = []
    for name, _, found in images:
        if found.sha256 not in new and catalog.image_with(found.sha256) is None:
            report.failed.append(Failure(name, "not_found", "it was removed while it was added; add it again"))
            continue
        is_touched = catalog.content_named(name) == found.sha256
        (report.skipped if is_touched else report.added).append(name)
        if isinstance(found, IndexedFile) and found.damaged:
            report.damaged.append(name)
        entries.append(Entry(name, found, None if is_touched else text))
    commit_batch(entries, replace(target, numbers={image.name: image.number for image in images}))
    for path in paths:
        path.unlink(missing_ok=True)
    return [entry.name for entry in entries]


@contextlib.contextmanager
def folder_of_parcels(folder: Path, turn: int) -> Iterator[None]:
    """Have a place for the parcels of one writer; those of former ones, which ended early, are deleted.

    Raises:
        StoreError: it cannot be made.
    """
    own = parcels_of(folder, turn)
    try:
        own.mkdir(parents=True)
        for former in own.parent.iterdir():
            if former.name < own.name:
                shutil.rmtree(former, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"cannot make {own}: {error.strerror or error}") from error
    try:
        yield
    finally:
        shutil.rmtree(own, ignore_errors=True)
        with contextlib.suppress(OSError):  # another writer may have taken over
            own.parent.rmdir()
