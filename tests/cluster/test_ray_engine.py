"""Shards on a real Ray cluster of a head and two nodes, of which one is killed."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from featmatch import MissingFeatureError, UsageError, open_all
from featmatch.cluster import ray_engine
from featmatch.cluster.connections import Address, Connection, Listener
from featmatch.cluster.layout import Layout
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CATALOG
from featmatch.store.numbers import CLUSTER
from tests.cluster.conftest import Clusters
from tests.test_indexes import QUERIES, collection

ROOT = Path(__file__).parents[2]
_SECONDS = 600

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed (pip install 'featmatch[cluster]')"
)


@needs_ray
def test_machines_answer_as_one_index_and_one_may_be_killed(clusters: Clusters, tmp_path: Path) -> None:
    two, one = tmp_path / "two.fmc", tmp_path / "one.fmc"
    for folder, replicas in ((two, 2), (one, 1)):
        shutil.copytree(clusters.of(2), folder)
        layout = replace(Layout.read(folder), replicas=replicas, identity=os.urandom(16).hex()).write(folder)
        for path in layout.folders(folder):
            with change_catalog(path / CATALOG) as change:
                change.describe(CLUSTER, layout.identity)
    arguments = [str(two), str(one), str(clusters.photos), "12"]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.cluster.ray_driver", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    assert "is not served there" in told["not served"]
    assert told["replicas"] == [4, 4]
    assert all(told["equal"])
    assert (told["answers"], told["wrong"], told["partial"], told["errors"]) == (24, 0, 0, [])
    assert told["added"] == [len(collection()), 0, 3, True, []]
    assert told["groups"]
    assert told["split"] == [6, [True] * len(QUERIES)]
    assert told["stopped"] == 6
    alone = told["alone"]
    assert (alone["same"], alone["status"], alone["missing"]) == (True, "partial", ["shard-0000"])
    assert alone["provisional"]
    assert alone["recovered"]


def test_only_one_cluster_is_answered_for_by_machines(clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    for paths in ([clusters.of(2), clusters.of(7)], [clusters.folder / "one.fm"]):
        with pytest.raises(UsageError, match="for one cluster"):
            open_all(paths, ray="auto")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingFeatureError, match=r"pip install 'featmatch\[cluster\]'"):
        open_all([clusters.of(2)], ray="auto")


@dataclass
class _Ray:
    """A Ray whose only actor answers how it was asked.

    Attributes:
        address: what the actor says of where it listens.
        late: calls of which the result is not there yet.
    """

    address: Address | None
    late: list[Any] = field(default_factory=list)

    def get_actor(self, *_: str) -> Any:
        def method(function: Callable[..., Any]) -> Any:
            return SimpleNamespace(remote=lambda *given: (function, given))

        return SimpleNamespace(answer=method(lambda *pieces: b"by Ray: " + b"".join(pieces)), address=method(self.told))

    def told(self) -> Address | None:
        return self.address

    def wait(self, calls: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        there = [call for call in calls if call[0] not in self.late]
        return there[:1], there[1:]

    def get(self, call: Any, **_: Any) -> Any:
        function, given = call
        return function(*given)


@dataclass
class _Asker:
    """Who asks one actor.

    Attributes:
        way: to it.
    """

    way: ray_engine._RayTransport

    def ask(self, *messages: bytes) -> list[Any]:
        """The answers to requests that are asked at the same time."""
        calls = [self.way.send(0, 0, message) for message in messages]
        results: dict[int, Any] = {}
        while len(results) < len(calls):
            left = [call for number, call in enumerate(calls) if number not in results]
            for call in self.way.ended(left, 20.0):
                results[calls.index(call)] = self.way.result(call)
        return [results[number] for number in range(len(calls))]

    def connect(self) -> Connection:
        """Ask until a connection is there, which some machines make later than others; the one that waits then."""
        while self.ask(b"one") != [b"connected: one"]:
            pass
        return self.way._idle[0, 0][-1]


@pytest.fixture
def asker(clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> Callable[[_Ray], _Asker]:
    def of(ray: _Ray) -> _Asker:
        monkeypatch.setattr(ray_engine, "_ray", lambda: ray)
        return _Asker(ray_engine._RayTransport(Layout.read(clusters.of(2))))

    return of


def _listening() -> _Ray:
    return _Ray(Listener(lambda message: b"connected: " + message, "127.0.0.1").address)


Askers = Callable[[_Ray], _Asker]


def test_actors_are_asked_by_connections_once_these_are_there(asker: Askers) -> None:
    ray = _listening()
    ray.late.append(ray.told)
    client = asker(ray)
    assert [client.ask(b"one"), client.ask(b"one")] == [[b"by Ray: one"]] * 2
    ray.late.clear()
    first = client.connect()
    assert client.ask(b"two") == [b"connected: two"]
    assert client.way._idle[0, 0] == [first]


def test_a_connection_that_was_ended_is_made_anew(asker: Askers) -> None:
    client = asker(_listening())
    first = client.connect()
    first._socket.shutdown(socket.SHUT_RDWR)
    assert client.connect() is not first
    given_up = client.way.send(0, 0, b"two")
    client.way.give_up(given_up)
    assert given_up.is_open is False
    assert client.connect() is not given_up


def test_a_request_that_nobody_waits_for_any_more_keeps_no_connection(asker: Askers) -> None:
    client = asker(_listening())
    client.connect()
    client.way.send(0, 0, b"two")
    gc.collect()
    assert (len(client.way._busy), client.way._idle[0, 0]) == (0, [])


def test_requests_at_the_same_time_have_connections_of_their_own(asker: Askers) -> None:
    ray = _listening()
    client = asker(ray)
    client.connect()
    ray.late.append(ray.told)
    assert client.ask(b"one", b"two") == [b"connected: one", b"by Ray: two"]
    ray.late.clear()
    while client.ask(b"one", b"two") != [b"connected: one", b"connected: two"]:
        pass
    assert len(client.way._idle[0, 0]) == 2


def test_another_thread_may_take_the_last_connection_that_was_idle(asker: Askers) -> None:
    class Taken(list[Connection]):
        def __bool__(self) -> bool:  # there was one when it was looked at
            return True

    client = asker(_listening())
    client.connect()
    client.way._idle[0, 0] = Taken()
    assert client.ask(b"two") == [b"connected: two"]


@pytest.mark.parametrize("where", [None, Address("127.0.0.1", 9, b"nobody listens")])
def test_where_no_connection_can_be_had_actors_are_asked_by_ray(asker: Askers, where: Address | None) -> None:
    client = asker(_Ray(where))
    assert [client.ask(b"one") for _ in range(4)] == [[b"by Ray: one"]] * 4


def test_an_actor_listens_unless_what_ray_carries_is_encrypted(
    clusters: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    util = SimpleNamespace(get_node_ip_address=lambda: "127.0.0.1")
    monkeypatch.setattr(ray_engine, "_ray", lambda: SimpleNamespace(util=util))
    (folder,) = Layout.read(clusters.of(1)).folders(clusters.of(1))
    monkeypatch.setenv("RAY_USE_TLS", "1")
    actor = ray_engine._Actor(str(folder))
    assert actor.address() is None
    monkeypatch.setenv("RAY_USE_TLS", "0")
    address = actor.address()
    assert address is not None
    assert address == actor.address()
    util.get_node_ip_address = lambda: "192.0.2.1"  # of no machine
    assert ray_engine._Actor(str(folder)).address() is None
