"""A cluster is written to, and says what one index says."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from featmatch import FeatureOptions, Indexes, StoreError, UsageError, Vocabulary, open_all
from featmatch.adding.batches import AddOptions, add_files
from featmatch.cluster import writing
from featmatch.cluster.adding import add_to_cluster
from featmatch.cluster.layout import Layout, slot_of
from featmatch.cluster.opening import open_shards
from featmatch.cluster.telling import check_cluster
from featmatch.cluster.turns import Turn
from featmatch.cluster.writing import create_cluster, split_shard
from featmatch.search.voting import VotingOptions
from featmatch.store.layout import CLUSTER_FILE
from featmatch.store.writing import hold_writer_lock
from featmatch.system.progress import ignore
from featmatch.system.workers import Lost
from tests.cluster.conftest import Clusters, add, records
from tests.cluster.engine import Fault, Workplace
from tests.test_indexes import FEATURES, QUERIES, QUICK, encoded, grouped, said, scene


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_cluster_says_what_one_index_says(clusters: Clusters, count: int) -> None:
    several = clusters.opened(count)
    few: dict[str, Any] = {"forms": "none", "voting": VotingOptions(shortlist=5), "unproven": True}
    for name in QUERIES if count == 2 else QUICK:
        query = QUERIES[name]()
        if count == 2:
            assert said(several.query(query, unproven=True)) == clusters.said_by_one(name)
        else:
            assert said(several.query(query, **few)) == said(clusters.one.query(query, **few))


def test_groups_of_a_cluster_are_those_of_one_index_also_by_other_processes(
    clusters: Clusters, decoded_here: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = grouped(clusters.one.groups(jobs=1), clusters.one)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # so that nothing is remembered
    monkeypatch.setattr("featmatch.grouping.finding._BLOCK_IMAGES", 5)
    faults: dict[int, Fault] = {0: 5.0, 1: Lost("killed"), 2: "killed after it was done", 3: 1e9}
    place = Workplace(faults.get)
    elsewhere = Indexes(clusters.opened(7).readers, workshop=place)
    assert grouped(elsewhere.groups(jobs=1), elsewhere) == expected
    assert len(place.calls) > len(faults)


def test_images_lie_by_their_content_and_are_numbered_by_age(clusters: Clusters) -> None:
    layout = Layout.read(clusters.of(7))
    held = records(clusters.of(7))
    assert all(layout.shard_of(record.sha256) == shard for shard, record in held)
    numbers = {record.sha256: record.id for _, record in held}
    ages = {record.sha256: record.id for record in clusters.one.images()}
    assert sorted(numbers, key=numbers.__getitem__) == sorted(ages, key=ages.__getitem__)
    assert len({record.id for _, record in held}) == len(numbers)
    assert layout.next_number > max(numbers.values())
    assert check_cluster(clusters.of(7)) == []


def test_a_run_that_ends_early_is_gone_on_with(
    own: Callable[[int], Path], clusters: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own(3)
    parts: list[Any] = []

    def fail_later(*arguments: Any, **options: Any) -> Any:
        parts.append(arguments)
        if len(parts) == 2:
            raise KeyboardInterrupt
        return add_files(*arguments, **options)

    monkeypatch.setattr("featmatch.cluster.adding.add_files", fail_later)
    with pytest.raises(KeyboardInterrupt):
        add(folder, [str(clusters.photos)], clusters.photos)
    some = records(folder)
    assert 0 < len(some) < len(clusters.one)
    monkeypatch.undo()
    add(folder, [str(clusters.photos)], clusters.photos)
    assert {record.name for _, record in records(folder)} == {record.name for record in clusters.one.images()}
    assert set(some) <= set(records(folder))
    assert check_cluster(folder) == []


def test_a_shard_is_split_and_answers_stay(clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "copy.fmc"
    shutil.copytree(clusters.of(2), folder)
    expected = [clusters.said_by_one(name) for name in QUICK]

    def answers(several: Indexes) -> list[Any]:
        return [said(several.query(QUERIES[name](), unproven=True)) for name in QUICK]

    before = {record.sha256: record for _, record in records(folder)}
    opened = open_all([folder], root=clusters.photos)
    for number in (1, 1):
        layout = split_shard(folder, number)
    assert layout.shards == ("shard-0000", "shard-0004", "shard-0003", "shard-0005")
    assert sorted(path.name for path in folder.iterdir()) == ["cluster.json", *sorted(layout.shards), "writer.lock"]
    assert answers(open_all([folder], root=clusters.photos)) == answers(opened) == expected
    assert check_cluster(folder) == []
    held = records(folder)
    assert {record.sha256: record for _, record in held} == before
    assert {shard for shard, _ in held} == {0, 1, 2, 3}
    add(folder, [str(clusters.photos)], clusters.photos)
    assert records(folder) == held
    with pytest.raises(UsageError, match="no shard 4"):
        split_shard(folder, 4)


def test_a_half_made_split_is_begun_again(clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "copy.fmc"
    shutil.copytree(clusters.of(2), folder)

    write = Turn.write

    def fail(turn: Turn, layout: Layout) -> Layout:
        if len(layout.shards) > 2:
            raise KeyboardInterrupt
        return write(turn, layout)

    monkeypatch.setattr(Turn, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        split_shard(folder, 0)
    assert (folder / "shard-0003").exists()
    assert len(open_shards(folder)) == 2
    told = "is none of the shards: a split that ended early left it, and it can be deleted"
    assert check_cluster(folder) == [f"shard-0002 {told}", f"shard-0003 {told}"]
    monkeypatch.undo()
    assert len(split_shard(folder, 0).shards) == 3
    assert check_cluster(folder) == []


def test_where_no_cluster_can_be(small_words: Vocabulary, own: Callable[[int], Path], tmp_path: Path) -> None:
    folder = own(2)
    with pytest.raises(StoreError, match="is a cluster already"):
        create_cluster(folder, 2, 1, None, small_words)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"holds other things, such as mine\.txt"):
        create_cluster(tmp_path / "other", 2, 1, None, small_words)
    for shards, replicas in ((0, 1), (1001, 1), (1, 0)):
        with pytest.raises(UsageError):
            create_cluster(tmp_path / "new", shards, replicas)
    with pytest.raises(StoreError, match="no cluster"):
        open_shards(tmp_path / "other")
    for write in (lambda: add(tmp_path / "other", [], tmp_path), lambda: split_shard(tmp_path / "other", 0)):
        with pytest.raises(StoreError, match="no cluster"):
            write()
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]


def test_a_shard_of_another_cluster_is_refused(
    own: Callable[[int], Path], small_words: Vocabulary, tmp_path: Path
) -> None:
    folder = own(2)
    layout = Layout.read(folder)
    replace(layout, identity="0" * 32).write(folder)
    with pytest.raises(StoreError, match="of another cluster"):
        open_shards(folder)
    assert "of another cluster" in check_cluster(folder)[0]
    replace(layout, vocabulary="another").write(folder)
    with pytest.raises(StoreError, match="another vocabulary"):
        open_shards(folder)
    replace(layout, slots=(0,) * 4096).write(folder)
    assert check_cluster(folder) == ["shard-0001 holds none of the 4096 slots"]
    shutil.rmtree(folder / "shard-0001")
    assert "shard-0001" in check_cluster(folder)[0]


def test_half_of_a_cluster_is_made_whole(
    small_words: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(StoreError):
        patch.setattr(Layout, "write", fail)
        create_cluster(tmp_path / "new.fmc", 2, 1, None, small_words)
    layout = create_cluster(tmp_path / "new.fmc", 2, 1, None, small_words)
    assert [reader.snapshot.catalog.meta["cluster"] for reader in open_shards(tmp_path / "new.fmc")] == 2 * [
        layout.identity
    ]
    assert slot_of("0010") == 1


def test_names_are_relative_to_one_folder_wherever_one_adds(
    own: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, below = own(7), tmp_path / "below"
    below.mkdir()
    for number in range(5):
        (below / f"{number}.png").write_bytes(encoded(scene(number)))
    monkeypatch.chdir(tmp_path)
    add_to_cluster(folder, ["below/0.png"], AddOptions(1), root=None, wait=False, progress=ignore)
    monkeypatch.chdir(below)
    add_to_cluster(folder, ["."], AddOptions(1), root=None, wait=False, progress=ignore)
    held = [record for _, record in records(folder)]
    assert {record.name: record.id for record in held} == {f"below/{number}.png": number + 1 for number in range(5)}
    split_shard(folder, records(folder)[0][0])
    for reader in open_shards(folder):
        assert all(reader.path_of(record.name) == str(tmp_path / record.name) for record in reader.images())


def test_of_two_that_make_a_cluster_one_is_late(
    small_words: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, lock = tmp_path / "new.fmc", hold_writer_lock

    @contextlib.contextmanager
    def late(place: Path) -> Iterator[None]:
        monkeypatch.setattr(writing, "hold_writer_lock", lock)
        create_cluster(place, 2, 1, None, small_words)
        with lock(place):
            yield

    monkeypatch.setattr(writing, "hold_writer_lock", late)
    with pytest.raises(StoreError, match="is a cluster already"):
        create_cluster(folder, 2, 1, None, small_words)
    assert check_cluster(folder) == []


def test_a_split_that_fails_leaves_nothing_on_a_full_disk(
    clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "copy.fmc"
    shutil.copytree(clusters.of(2), folder)
    before = sorted(folder.iterdir())

    def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(writing, "compact", fail)
    with pytest.raises(StoreError, match="full"):
        split_shard(folder, 0)
    assert sorted(folder.iterdir()) == before
    assert check_cluster(folder) == []


def test_shards_that_were_there_are_taken_only_if_they_fit(
    own: Callable[[int], Path], clusters: Clusters, small_words: Vocabulary, tmp_path: Path
) -> None:
    folder = own(2)
    (folder / CLUSTER_FILE).unlink()
    with pytest.raises(StoreError, match="other features"):
        create_cluster(folder, 2, 1, FeatureOptions("orb"), None)
    shutil.rmtree(folder / "shard-0001")
    shutil.copytree(clusters.of(2) / "shard-0001", folder / "shard-0001")
    with pytest.raises(StoreError, match="has images"):
        create_cluster(folder, 2, 1, FEATURES, small_words)
    shutil.rmtree(folder / "shard-0001")
    create_cluster(folder, 2, 1, FEATURES, small_words)
