"""Clusters are opened, and followed when they change."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from featmatch import StoreError, UsageError, open_all
from featmatch.adding.batches import AddOptions
from featmatch.cluster import opening
from featmatch.cluster.adding import add_to_cluster
from featmatch.cluster.asking import Patience, ReplicatedShards
from featmatch.cluster.opening import Members, open_shards
from featmatch.cluster.replica import Replica
from featmatch.cluster.telling import check_cluster
from featmatch.cluster.writing import split_shard
from featmatch.indexes import Indexes
from featmatch.store.numbers import BY_AGE
from featmatch.system.progress import ignore
from featmatch.system.workers import Lost
from tests.cluster.conftest import Clusters, add
from tests.cluster.engine import Engine
from tests.test_indexes import QUERIES, encoded, said, scene


@pytest.fixture
def copy(clusters: Clusters, tmp_path: Path) -> Path:
    """A cluster of two shards, to be written to."""
    shutil.copytree(clusters.of(2), tmp_path / "copy.fmc")
    return tmp_path / "copy.fmc"


def test_who_has_it_open_follows_a_split_and_an_addition(copy: Path, clusters: Clusters, tmp_path: Path) -> None:
    opened = open_all([copy], root=clusters.photos)
    joined, before = opened.joined, opened.readers
    expected = said(clusters.one.query(QUERIES["two"](), unproven=True))
    split_shard(copy, 1)
    opened.refresh()
    assert list(opened.readers) == [str(copy / name) for name in ("shard-0000", "shard-0002", "shard-0003")]
    assert opened.readers[str(copy / "shard-0000")] is before[str(copy / "shard-0000")]
    assert said(opened.query(QUERIES["two"](), unproven=True)) == expected
    (tmp_path / "new.png").write_bytes(encoded(scene(77)))
    add(copy, [str(tmp_path / "new.png")], tmp_path)
    assert not opened.query(scene(77))
    former = joined.snapshot
    joined.refresh()  # as a server does
    assert [Path(match.name).name for match in opened.query(scene(77))] == ["new.png"]
    assert len(joined) == len(clusters.one) + 1
    assert {record.sha256 for record in joined.images()} > {record.sha256 for record in clusters.one.images()}
    assert list(joined.whereabouts.places(former.catalog).paths_of("scene1.png"))  # somebody may still be at it
    before = opened.readers
    opened.refresh()
    assert opened.readers is before


def test_a_split_while_it_is_opened_is_seen(copy: Path, clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    open_shard = opening._open_shard

    def late(*arguments: object) -> object:
        monkeypatch.setattr(opening, "_open_shard", open_shard)
        split_shard(copy, 0)
        return open_shard(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(opening, "_open_shard", late)
    assert len(open_all([copy], root=clusters.photos).readers) == 3
    shutil.rmtree(copy / "shard-0001")
    with pytest.raises(StoreError, match="shard-0001"):
        open_all([copy])


def test_machines_are_asked_for_other_shards_where_one_is_gone(copy: Path, clusters: Clusters) -> None:
    engines = []

    def served(names: list[str]) -> ReplicatedShards:
        engines.append(Engine.of(list(map(Path, names)), clusters.photos))
        return ReplicatedShards(engines[-1], 1, names, BY_AGE, Patience())

    members = Members([str(copy)], clusters.photos)
    readers = members.newest({})
    way = served(list(readers))
    opened = Indexes(readers, way, members=members, served=served)  # type: ignore[arg-type]
    expected = said(clusters.one.query(QUERIES["two"](), unproven=True))
    assert said(opened.query(QUERIES["two"](), unproven=True)) == expected
    split_shard(copy, 0)
    engines[0].fault = lambda shard, *_: Lost("its folder is gone") if shard == 0 else None
    assert said(opened.query(QUERIES["two"](), unproven=True)) == expected
    assert len(engines) == 2
    engines[1].fault = lambda shard, *_: Lost("its folder is gone") if shard == 1 else None
    shutil.rmtree(copy / "shard-0001")
    assert opened.query(QUERIES["two"]()).missing == [str(copy / "shard-0001")]


def test_nothing_in_a_cluster_is_a_link(copy: Path, clusters: Clusters) -> None:
    (copy / "shard-0001").rename(copy.parent / "elsewhere")
    (copy / "shard-0001").symlink_to(copy.parent / "elsewhere")
    tries: list[Callable[[], object]] = [
        lambda: open_all([copy]), lambda: open_shards(copy), lambda: Replica(str(copy / "shard-0001")),
        lambda: add(copy, [], clusters.photos), lambda: split_shard(copy, 0),
    ]  # fmt: skip
    for one in tries:
        with pytest.raises(StoreError, match="is a link"):
            one()
    assert "is a link" in check_cluster(copy)[0]
    assert sorted(path.name for path in copy.iterdir()) == ["cluster.json", "shard-0000", "shard-0001", "writer.lock"]
    (copy / "cluster.json").rename(copy.parent / "cluster.json")
    (copy / "cluster.json").symlink_to(copy.parent / "cluster.json")
    with pytest.raises(StoreError, match="is a link"):
        open_all([copy])


def test_a_cluster_that_moves_with_its_photos_finds_them(
    own: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own(2)
    home, moved = tmp_path / "home", tmp_path / "moved"
    home.mkdir()
    folder.rename(home / "own.fmc")
    (home / "photos").mkdir()
    (home / "photos" / "one.png").write_bytes(encoded(scene(1)))
    monkeypatch.chdir(home)
    add_to_cluster(Path("own.fmc"), ["photos"], AddOptions(1), root=None, wait=False, progress=ignore)
    home.rename(moved)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of another user"))
    (match,) = opened = open_all([moved / "own.fmc"]).query(scene(1))
    assert opened.not_at_hand == []
    assert open_all([moved / "own.fmc"]).path_of(match) == str(moved / "photos" / "one.png")


def test_one_index_is_named_once(copy: Path) -> None:
    for paths in ([copy, copy], [copy, copy / "shard-0001"]):
        with pytest.raises(UsageError, match="named twice"):
            open_all(paths)
