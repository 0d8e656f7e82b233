"""One process that answers for a shard."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from featmatch import Index, StoreError
from featmatch.cluster.layout import Layout
from featmatch.cluster.replica import Replica
from featmatch.search.many import SearchOptions
from featmatch.search.messages import answers_of, request_bytes
from featmatch.search.shards import TallyRequest
from tests.cluster.conftest import Clusters
from tests.test_indexes import scene


def test_what_was_committed_is_seen_at_the_next_request(clusters: Clusters, tmp_path: Path) -> None:
    (folder,) = Layout.read(clusters.of(1)).folders(clusters.of(1))
    shutil.copytree(folder, tmp_path / "shard")
    index = Index.open(tmp_path / "shard", root=clusters.photos)
    search = SearchOptions().search_in(index)
    request = TallyRequest(search.asked(search.read(scene(1))))
    replica = Replica(str(tmp_path / "shard"), str(clusters.photos))

    def found() -> list[int]:
        _, answers = answers_of([request], replica.answer(request_bytes([request])))
        assert answers is not None
        (tally,) = answers
        images: list[int] = tally.ranked.images.tolist()
        return images

    (number,) = {record.id for record in index.images() if record.name == "scene1.png"}
    assert number in found()
    index.remove(["scene1.png"])
    assert number not in found()
    assert found()
    with pytest.raises(StoreError, match="damaged"):
        replica.answer(b"")


def test_what_is_no_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Replica(str(tmp_path))
