"""What a cluster holds, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featmatch.cluster.layout import SLOTS, Layout, strange_shards
from featmatch.cluster.opening import open_shards
from featmatch.errors import StoreError
from featmatch.store.checking import check
from featmatch.store.info import IndexInfo
from featmatch.store.layout import refuse_links


@dataclass(frozen=True)
class ClusterStatus:
    """What a cluster holds.

    Attributes:
        layout: which shard holds what.
        shards: of each shard, by number, what it holds.
    """

    layout: Layout
    shards: tuple[IndexInfo, ...]

    def to_dict(self) -> dict[str, Any]:
        """The object of the JSON output."""
        slots = Counter(self.layout.slots)
        shown = ("images", "features", "removed", "segments", "bytes")
        return {
            "generation": self.layout.generation,
            "replicas": self.layout.replicas,
            **{name: sum(getattr(info, name) for info in self.shards) for name in shown},
            "shards": [
                {"shard": name, "slots": slots[number], **{one: getattr(info, one) for one in shown}}
                for number, (name, info) in enumerate(zip(self.layout.shards, self.shards, strict=True))
            ],
        }


def status_of(folder: Path) -> ClusterStatus:
    """What a cluster holds; raises as ``open_shards``."""
    layout = Layout.read(folder)
    return ClusterStatus(layout, tuple(reader.info() for reader in open_shards(folder, layout=layout)))


def check_cluster(folder: Path) -> list[str]:
    """What is wrong with a cluster, in words: files that are not as they were written, and images that are twice there.

    Raises:
        StoreError: there is no cluster, or ``cluster.json`` is damaged.
    """
    layout = Layout.read(folder)
    problems = []
    for path in layout.folders(folder):
        try:
            refuse_links(path)
            problems += check(path).problems
        except StoreError as error:
            problems.append(str(error))
    if problems:
        return problems
    try:
        readers = open_shards(folder, layout=layout)
    except StoreError as error:
        return [str(error)]
    problems += [
        f"{name} is none of the shards: a split that ended early left it, and it can be deleted"
        for name in strange_shards(folder, layout)
    ]
    unused = sorted(set(range(len(layout.shards))) - set(layout.slots))
    problems += [f"{layout.shards[shard]} holds none of the {SLOTS} slots" for shard in unused]
    numbers: dict[int, str] = {}
    for shard, reader in enumerate(readers):
        for record in reader.images():
            keeper = layout.shard_of(record.sha256)
            if keeper != shard and readers[keeper].snapshot.catalog.image_with(record.sha256) is not None:
                problems.append(
                    f"{layout.shards[shard]} has an image that {layout.shards[keeper]} holds: {record.name}"
                )
            elif numbers.setdefault(record.id, record.sha256) != record.sha256:
                problems.append(f"two images have the number {record.id}, one of them in {layout.shards[shard]}")
    return problems
