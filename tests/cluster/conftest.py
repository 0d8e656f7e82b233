"""Clusters of the collection of ``tests/test_indexes.py``, beside one index of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from featmatch import Index, Indexes, Vocabulary, open_all
from featmatch.adding.batches import AddOptions, AddReport
from featmatch.cluster.adding import add_to_cluster
from featmatch.cluster.opening import open_shards
from featmatch.cluster.tasks import Workshop
from featmatch.cluster.writing import create_cluster
from featmatch.store.records import ImageRecord
from featmatch.system.progress import ignore
from tests.test_indexes import FEATURES, QUERIES, collection, said


def add(folder: Path, paths: list[str], root: Path, workshop: Workshop | None = None) -> AddReport:
    """Add to a cluster, in this process."""
    return add_to_cluster(
        folder, paths, AddOptions(1), root=str(root), wait=False, progress=ignore, workshop=workshop
    )  # fmt: skip


def records(folder: Path) -> list[tuple[int, ImageRecord]]:
    """What each shard holds, by its number."""
    return [(number, record) for number, reader in enumerate(open_shards(folder)) for record in reader.images()]


@dataclass(frozen=True)
class Clusters:
    """One collection in one index, and in clusters of so many shards. Not to be written to."""

    folder: Path
    photos: Path
    one: Index

    def of(self, count: int) -> Path:
        return self.folder / f"{count}.fmc"

    def opened(self, count: int) -> Indexes:
        return open_all([self.of(count)], root=self.photos)

    @cache  # noqa: B019 (there is one)
    def said_by_one(self, query: str) -> Any:
        """All that the one index says of one of ``QUERIES``, without the unproven left out."""
        return said(self.one.query(QUERIES[query](), unproven=True))


@pytest.fixture(scope="session")
def clusters(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Clusters:
    folder = tmp_path_factory.mktemp("clusters")
    photos = folder / "photos"
    photos.mkdir()
    for name, content in collection():
        (photos / name).write_bytes(content)
    paths = [str(photos / name) for name, _ in collection()]
    one = Index.open(folder / "one.fm", create=True, features=FEATURES, vocabulary=small_words, root=photos)
    one.add(paths, jobs=1)
    made = Clusters(folder, photos, one)
    for count in (1, 2, 7):
        create_cluster(made.of(count), count, 2, FEATURES, small_words)
        add(made.of(count), paths[:9], photos)
        add(made.of(count), paths, photos)
    return made


@pytest.fixture
def own(small_words: Vocabulary, tmp_path: Path) -> Callable[[int], Path]:
    """Makes an empty cluster, to be written to."""

    def make(shards: int) -> Path:
        create_cluster(tmp_path / "own.fmc", shards, 1, FEATURES, small_words)
        return tmp_path / "own.fmc"

    return make
