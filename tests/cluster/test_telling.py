"""What is said of a cluster; what is found in a damaged one is tested in ``test_writing.py``, too."""

from __future__ import annotations

import shutil
from pathlib import Path

from featmatch.cluster.opening import open_shards
from featmatch.cluster.telling import check_cluster, status_of
from featmatch.store.generation import change_catalog
from tests.cluster.conftest import Clusters


def test_a_cluster_is_as_large_as_its_shards(clusters: Clusters) -> None:
    told = status_of(clusters.of(7)).to_dict()
    infos = [reader.info() for reader in open_shards(clusters.of(7))]
    assert (told["images"], told["features"]) == (len(clusters.one), clusters.one.info().features)
    assert [one["images"] for one in told["shards"]] == [info.images for info in infos]
    assert sum(one["slots"] for one in told["shards"]) == 4096
    assert {one["slots"] for one in told["shards"]} == {585, 586}
    assert (told["replicas"], told["bytes"]) == (2, sum(info.bytes for info in infos))


def test_damage_and_doubles_are_told(clusters: Clusters, tmp_path: Path) -> None:
    folder = tmp_path / "copy.fmc"
    shutil.copytree(clusters.of(2), folder)
    first, second = open_shards(folder)
    record = next(iter(second.images()))
    with change_catalog(first.snapshot.catalog.path) as change:
        change.name("double.png", change.add_image(record.sha256, 9, (9, 9), 0, 1), 5)
        change.name("number.png", change.add_image("000" + "1" * 61, 9, (9, 9), 0, 1, number=record.id), 5)
    problems = "\n".join(check_cluster(folder))
    assert "catalogue" in problems  # the segment has no such images
    column = next((folder / "shard-0001").rglob("*.npy"))
    content = bytearray(column.read_bytes())
    content[-1] ^= 1
    column.write_bytes(content)
    assert any(column.name in problem for problem in check_cluster(folder))
