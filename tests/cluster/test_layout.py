"""What ``cluster.json`` says, and that damage in it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featmatch import StoreError
from featmatch.cluster.layout import SLOTS, Layout, is_cluster, slot_of
from featmatch.store.layout import CLUSTER_FILE

LAYOUT = Layout("0" * 32, "words", ("shard-0000", "shard-0001"), tuple(slot % 2 for slot in range(SLOTS)))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert not is_cluster(tmp_path)
    first = LAYOUT.write(tmp_path)
    assert (first.generation, Layout.read(tmp_path)) == (1, first)
    assert first.write(tmp_path).generation == 2
    assert is_cluster(tmp_path)
    assert first.folders(tmp_path) == [tmp_path / "shard-0000", tmp_path / "shard-0001"]
    assert (slot_of("000" + "f" * 61), slot_of("fff" + "0" * 61)) == (0, SLOTS - 1)
    assert first.shard_of("001" + "0" * 61) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2}, {"shards": ["../elsewhere"]}, {"shards": ["shard-0000", "shard-0000"]}, {"shards": []},
        {"shards": "shard-0000"}, {"slots": [0]}, {"slots": [9] * SLOTS}, {"slots": [True] * SLOTS},
        {"replicas": 0}, {"replicas": 101}, {"next_number": 1 << 60},
        {"next_number": 1.5}, {"generation": 1 << 70}, {"identity": "me"}, {"identity": None}, {"vocabulary": 7},
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(tmp_path: Path, change: dict[str, Any]) -> None:
    LAYOUT.write(tmp_path)
    path = tmp_path / CLUSTER_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(StoreError, match="is damaged"):
        Layout.read(tmp_path)


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    (folder / CLUSTER_FILE).write_bytes(content)
    with pytest.raises(StoreError):
        Layout.read(folder)


def test_a_link_is_no_cluster(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    LAYOUT.write(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / CLUSTER_FILE).symlink_to(tmp_path / "a" / CLUSTER_FILE)
    with pytest.raises(StoreError):
        Layout.read(tmp_path / "b")
