"""A writer that slept while another one took over commits nothing."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from featmatch import StoreError
from featmatch.adding import batches
from featmatch.cluster import adding, turns, writing
from featmatch.cluster.layout import Layout
from featmatch.cluster.opening import open_shards
from featmatch.cluster.telling import check_cluster
from featmatch.cluster.turns import take_turn
from featmatch.cluster.writing import split_shard
from featmatch.store import writing as store_writing
from tests.cluster.conftest import Clusters, add
from tests.test_indexes import encoded, scene

MODULES = {"batches": batches, "adding": adding}


@contextlib.contextmanager
def no_lock(*_: object, **__: object) -> Iterator[None]:
    """A lock that two have at a time, as of a file system that lost touch with the first of them."""
    yield


@pytest.fixture
def copy(clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster that locks do not keep."""
    for module in (turns, store_writing):
        monkeypatch.setattr(module, "hold_writer_lock", no_lock)
    shutil.copytree(clusters.of(2), tmp_path / "copy.fmc")
    return tmp_path / "copy.fmc"


def photo(folder: Path, number: int) -> str:
    path = folder / f"{number}.png"
    path.write_bytes(encoded(scene(number)))
    return str(path)


def names(folder: Path) -> set[str]:
    return {record.name for reader in open_shards(folder) for record in reader.images()}


@pytest.mark.parametrize(
    ("module", "function"),
    [("adding", "_not_as_known"), ("adding", "add_files"), ("batches", "write_segment"), ("adding", "_forget_former")],
)
def test_who_slept_while_adding_adds_nothing(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, function: str
) -> None:
    ours, other_s = photo(tmp_path, 201), photo(tmp_path, 202)
    before, awake = names(copy), getattr(MODULES[module], function)

    def asleep(*arguments: Any, **named: Any) -> Any:
        """The other writer adds meanwhile."""
        monkeypatch.setattr(MODULES[module], function, awake)
        add(copy, [other_s], tmp_path)
        return awake(*arguments, **named)

    monkeypatch.setattr(MODULES[module], function, asleep)
    if function == "_forget_former":  # all is committed, and nothing is to be forgotten
        add(copy, [ours], tmp_path)
        assert names(copy) == before | {"201.png", "202.png"}
    else:
        with pytest.raises(StoreError, match="another writer took over"):
            add(copy, [ours], tmp_path)
        assert names(copy) == before | {"202.png"}
        assert add(copy, [ours], tmp_path).added == ["201.png"]
    assert check_cluster(copy) == []


@pytest.mark.parametrize("late", [False, True])
def test_who_slept_while_splitting_splits_nothing(copy: Path, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    keep_only: Callable[..., None] = writing._keep_only

    def asleep(*arguments: Any) -> None:
        if late:
            keep_only(*arguments)
        monkeypatch.setattr(writing, "_keep_only", keep_only)
        split_shard(copy, 1)
        if not late:
            keep_only(*arguments)

    monkeypatch.setattr(writing, "_keep_only", asleep)
    before = names(copy)
    # What it has made so far may be gone when it wakes.
    with pytest.raises(StoreError if late else FileNotFoundError, match="took over" if late else "shard-0002"):
        split_shard(copy, 0)
    assert Layout.read(copy).shards == ("shard-0000", "shard-0004", "shard-0005")
    assert names(copy) == before
    assert check_cluster(copy) == []


def test_each_turn_has_a_higher_number(copy: Path) -> None:
    with take_turn(copy, wait=False) as (first, layout):
        assert first.check() == layout
        with take_turn(copy, wait=False) as (second, _):
            assert second.number > first.number
            second.write(second.check())
            with pytest.raises(StoreError, match="took over"):
                first.write(layout)
    with pytest.raises(StoreError, match="no cluster"), take_turn(copy.parent, wait=False):
        pass
