"""A Ray cluster of a head and two nodes answers for clusters of shards; prints what it saw as one JSON object.

Run by ``test_ray_engine.py`` in a process of its own: CLUSTER, that of which each shard has one replica, the root of
the photos, and how many queries each of two clients makes while a node is killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from featmatch import Indexes, StoreError, open_all
from featmatch.adding.batches import AddOptions
from featmatch.cluster import adding
from featmatch.cluster.asking import Patience
from featmatch.cluster.layout import Layout
from featmatch.cluster.opening import open_shards
from featmatch.cluster.ray_engine import RayWorkshop, connect, replica_name, start_replicas, stop_replicas
from featmatch.cluster.telling import check_cluster
from featmatch.cluster.writing import create_cluster, split_shard
from featmatch.system.progress import ignore
from tests.cluster.conftest import records
from tests.test_indexes import QUERIES, grouped, said

PATIENCE = Patience(hedge=2.0, all=30.0)


def main(two: Path, one: Path, root: Path, count: int) -> dict[str, Any]:
    import ray
    from ray.cluster_utils import Cluster

    begun = time.monotonic()
    local = open_all([two], root=root)
    expected = {name: said(local.query(query(), unproven=True)) for name, query in QUERIES.items()}
    few = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    machines = Cluster(initialize_head=True, head_node_args=few)
    offered = {f"shard{number}": 1 for number in range(len(Layout.read(two).shards) + 1)}  # one is split
    nodes = [
        machines.add_node(num_cpus=2, object_store_memory=80 << 20, resources=offered, wait=False) for _ in range(2)
    ]
    machines.wait_for_nodes()
    told: dict[str, Any] = {"wrong": 0, "partial": 0, "answers": 0, "errors": [], "slowest": 0.0}
    try:
        connect(machines.address)
        try:
            open_all([two], root=root, ray=machines.address)
        except StoreError as error:
            told["not served"] = str(error)
        told["replicas"] = [start_replicas(two, str(root)), start_replicas(two, str(root))]
        served = open_all([two], root=root, ray=machines.address, patience=PATIENCE)
        told["equal"] = [
            said(served.query(query(), unproven=True)) == expected[name] for name, query in QUERIES.items()
        ]
        told["added"] = _added(two.with_name("added.fmc"), two, root)
        told["groups"] = grouped(served.groups(jobs=1), served) == _groups_here(local, two.with_name("cache"))
        told["split"] = _split(two, root, served, expected)
        half = threading.Event()

        def ask(client: int) -> None:
            names = list(QUERIES)
            for number in range(count):
                if client == 0 and number == count // 3:
                    half.set()
                name, at = names[(number + client) % len(names)], time.monotonic()
                try:
                    answer = served.query(QUERIES[name](), unproven=True)
                except Exception as error:
                    told["errors"].append(repr(error))
                    continue
                told["slowest"] = max(told["slowest"], time.monotonic() - at)
                told["answers"] += 1
                told["partial"] += bool(answer.missing)
                told["wrong"] += not answer.missing and said(answer) != expected[name]

        clients = [threading.Thread(target=ask, args=(client,)) for client in range(2)]
        for client in clients:
            client.start()
        half.wait()
        machines.remove_node(nodes[0], allow_graceful=False)  # SIGKILL
        for client in clients:
            client.join()
        told["stopped"] = stop_replicas(two)
        told["alone"] = _one_replica(ray, one, root, machines.address)
    finally:
        ray.shutdown()
        machines.shutdown()
    told["seconds"] = time.monotonic() - begun
    return told


class _Deadly(RayWorkshop):
    """Processes of which each is killed in the middle of its first task."""

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        return super().begin(_killed_at_first, (function, arguments))


def _killed_at_first(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Do a task; where this machine has not done it before, end the process right after it."""
    files, sorting = arguments
    result, mark = function(*arguments), sorting.folder.with_name(f"{files[0].number}.done")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return result


def _added(folder: Path, like: Path, root: Path) -> list[Any]:
    """Add what a cluster holds to another one; what was added, and whether both hold the same then."""
    layout = Layout.read(like)
    first = open_shards(like)[0]
    create_cluster(folder, len(layout.shards), 1, first.options, first.vocabulary)
    adding._TASK_FILES = 10
    options = AddOptions(1)
    report = adding.add_to_cluster(
        folder, [str(root)], options, root=str(root), wait=False, progress=ignore, workshop=_Deadly()
    )  # fmt: skip
    held = [sorted((shard, record.name, record.sha256) for shard, record in records(one)) for one in (folder, like)]
    marks = len(list(folder.parent.glob("*.done")))
    return [len(report.added), len(report.failed), marks, held[0] == held[1], check_cluster(folder)]


def _groups_here(local: Indexes, cache: Path) -> Any:
    """The groups as this process finds them, which remembers nothing of what others found."""
    os.environ["XDG_CACHE_HOME"] = str(cache)
    found = grouped(local.groups(jobs=1), local)
    assert any(cache.iterdir())
    return found


def _split(folder: Path, root: Path, served: Indexes, expected: dict[str, Any]) -> list[Any]:
    """How many replicas run after a split; and whether who had the cluster open gets the right answers then."""
    split_shard(folder, 1)
    count = start_replicas(folder, str(root))
    answers = [served.query(query(), unproven=True) for query in QUERIES.values()]  # the shard that is gone is seen
    return [count, [said(answer) == expected[name] for name, answer in zip(QUERIES, answers, strict=True)]]


def _one_replica(ray: Any, folder: Path, root: Path, address: str) -> dict[str, Any]:
    """What is said before one shard is lost, once Ray has started it again, and when it is lost for good."""
    start_replicas(folder, str(root))
    served = open_all([folder], root=root, ray=address, patience=PATIENCE)
    local = open_all([folder], root=root)
    whole = served.query(QUERIES["two"](), unproven=True)
    expected = said(local.query(QUERIES["two"](), unproven=True))
    same = said(whole) == expected
    actor = ray.get_actor(replica_name(Layout.read(folder), 0, 0), "featmatch")
    ray.kill(actor, no_restart=False)
    again, at = served.query(QUERIES["two"](), unproven=True), time.monotonic()
    while again.missing and time.monotonic() - at < 60:
        again = served.query(QUERIES["two"](), unproven=True)
    recovered = said(again) == expected
    ray.kill(actor)
    at = time.monotonic()
    answer = served.query(QUERIES["two"]())
    missing = [Path(name).name for name in answer.missing]
    return {
        "same": same, "recovered": recovered, "status": answer.status, "missing": missing,
        "provisional": all(match.provisional for match in answer), "seconds": time.monotonic() - at,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))))
