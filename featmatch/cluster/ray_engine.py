"""Shards on the machines of a Ray cluster: an actor for each replica; and tasks there, as of adding.

Only actors and tasks of Ray Core are used. All that is asked of replicas and answered is bytes of
``search/messages.py``, which go by connections of their own, or by calls of Ray's while there are none.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from featmatch.cluster import connections
from featmatch.cluster.asking import Patience, ReplicatedShards
from featmatch.cluster.connections import Address, Connection, Listener
from featmatch.cluster.layout import Layout
from featmatch.cluster.replica import Replica
from featmatch.errors import FeatmatchError, MissingFeatureError, StoreError
from featmatch.store.numbers import BY_AGE, BY_INDEX
from featmatch.system.workers import Lost

_NAMESPACE = "featmatch"
_SHARE = 0.01  # of a core, in Ray's books: what answers takes what there is
_READY_SECONDS = 120.0
_PIECE_BYTES = 90_000  # of a message; Ray sends less than 100 KiB with the call, and what is larger by a detour
_AHEAD = 4  # tasks that are begun, for each core
_TURN_SECONDS = 0.002  # that answers by connections are waited for, before one looks whether one came by Ray


def connect(address: str) -> None:
    """Join a Ray cluster, unless this process has; "auto": the one that runs here.

    Raises:
        MissingFeatureError: Ray is not installed.
        FeatmatchError: there is no such cluster.
    """
    ray = _ray()
    if not ray.is_initialized():
        try:
            ray.init(address, namespace=_NAMESPACE, log_to_driver=False, logging_level="ERROR", configure_logging=False)
        except Exception as error:  # Ray raises what it likes
            raise FeatmatchError(f"cannot join the Ray cluster at {address}: {error}") from error


def workshop_at(address: str) -> RayWorkshop:
    """The machines of a Ray cluster, to do tasks; arguments and errors are those of ``connect``."""
    connect(address)
    return RayWorkshop()


def start_replicas(folder: Path, root: str | None = None) -> int:
    """Start the replicas of a cluster that do not run yet, and wait until all answer; return how many there are.

    They outlive this process, and Ray starts again those that end. Where nodes offer resources ``shard0``, ``shard1``
    and so on, each replica takes one of its shard's, so that no node has two of them; else Ray spreads them.

    Raises:
        FeatmatchError: one of them cannot be started.
    """
    ray, layout = _ray(), Layout.read(folder)
    wanted = {replica_name(layout, *one) for one in _replicas(layout)}
    _stop(name for name in _running(layout) if name not in wanted)  # of shards that were split
    offered = ray.cluster_resources()
    actor = ray.remote(_Actor)
    actors = []
    paths = layout.folders(folder.absolute())
    for shard, replica in _replicas(layout):
        own = f"shard{shard}"
        options: dict[str, Any] = {
            "name": replica_name(layout, shard, replica), "namespace": _NAMESPACE, "lifetime": "detached",
            "get_if_exists": True, "max_restarts": -1, "max_task_retries": 0, "num_cpus": _SHARE,
            "scheduling_strategy": "SPREAD", "resources": {own: 1} if own in offered else {},
            "runtime_env": {"env_vars": {"OPENBLAS_NUM_THREADS": "1"}},
        }  # fmt: skip
        actors.append(actor.options(**options).remote(str(paths[shard]), root))
    try:
        ray.get([one.__ray_ready__.remote() for one in actors], timeout=_READY_SECONDS)
    except Exception as error:
        raise FeatmatchError(f"the shards of {folder} cannot be served: {error}") from error
    return len(actors)


def stop_replicas(folder: Path) -> int:
    """End the replicas of a cluster; return how many there were."""
    return _stop(_running(Layout.read(folder)))


def _replicas(layout: Layout) -> Iterator[tuple[int, int]]:
    """Number of the shard, and of the replica among its own, of each that is to run."""
    return product(range(len(layout.shards)), range(layout.replicas))


def _running(layout: Layout) -> list[str]:
    """Names of the replicas of a cluster that run, of shards that were split, too."""
    every = _ray().util.list_named_actors(all_namespaces=True)
    return [
        one["name"] for one in every if one["namespace"] == _NAMESPACE and one["name"].startswith(f"{layout.identity}-")
    ]


def _stop(names: Iterable[str]) -> int:
    """End replicas; return how many there were."""
    ray, stopped = _ray(), 0
    for name in names:
        with contextlib.suppress(ValueError):  # it has ended by itself
            ray.kill(ray.get_actor(name, _NAMESPACE))
            stopped += 1
    return stopped


def served_shards(folder: Path, names: Sequence[str], patience: Patience) -> ReplicatedShards:
    """The way to the replicas of a cluster.

    Raises:
        StoreError: none of them runs.
    """
    layout = Layout.read(folder)
    transport = _RayTransport(layout)
    if not any(transport.knows(shard, replica) for shard in range(len(names)) for replica in range(layout.replicas)):
        raise StoreError(f"{folder} is not served there; `featmatch cluster serve` starts that")
    return ReplicatedShards(transport, layout.replicas, names, BY_AGE if len(names) > 1 else BY_INDEX, patience)


class _Actor(Replica):
    """A replica as Ray starts it."""

    _listener: Listener | None = None

    def address(self) -> Address | None:
        """Where it can be asked without Ray; None: nowhere, as nobody may listen, or Ray encrypts what it carries."""
        if self._listener is None and os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
            with contextlib.suppress(OSError):
                self._listener = Listener(self.answer, _ray().util.get_node_ip_address())
        return None if self._listener is None else self._listener.address


class _RayCalls:
    """Calls of actors and tasks."""

    def ended(self, calls: Sequence[Any], seconds: float) -> list[Any]:
        """Those calls that have ended."""
        ready, _ = _ray().wait(list(calls), num_returns=1, timeout=seconds)
        return list(ready)

    def result(self, call: Any) -> Any:
        """What a call came to."""
        try:
            return _ray().get(call, timeout=1)
        except Exception as error:  # of what was called, of its node, or of Ray
            return Lost(str(getattr(error, "cause", None) or type(error).__name__))

    def give_up(self, call: Any) -> None:
        """Nothing: a result that nobody waits for is dropped with its call."""

    def now(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()


class RayWorkshop(_RayCalls):
    """Tasks on the machines that this process has joined (``connect``); each takes a core."""

    def at_once(self) -> int:
        """How many keep all cores busy: more than there are, as machines may join, and results are taken in order."""
        return _AHEAD * max(int(_ray().cluster_resources().get("CPU", 1)), 1)

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Begin a task. Ray does not begin it again: who lost it does."""
        return _ray().remote(function).options(num_cpus=1, max_retries=0).remote(*arguments)

    def give_up(self, call: Any) -> None:
        """Do not begin it any more."""
        _ray().cancel(call, recursive=False)


class _RayTransport(_RayCalls):
    """Requests to actors."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._actors: dict[tuple[int, int], Any] = {}
        # Of each actor: the call that asks for its address; what is being connected; what waits for requests.
        self._addresses: dict[tuple[int, int], Any] = {}
        self._connecting: dict[tuple[int, int], Connection] = {}
        self._idle: dict[tuple[int, int], list[Connection]] = {}
        self._busy: WeakKeyDictionary[Connection, tuple[int, int]] = WeakKeyDictionary()  # ends with whoever asked
        self._hosts: dict[tuple[int, int], str] = {}  # of actors that have told their addresses

    def knows(self, shard: int, replica: int) -> bool:
        """Whether there is such an actor."""
        return self._actor(shard, replica) is not None

    def send(self, shard: int, replica: int, message: bytes) -> Any:
        """Ask a replica."""
        actor = self._actor(shard, replica)
        if actor is None:
            return _NoCall()
        connection = self._connection(shard, replica)
        if connection is not None:
            self._busy[connection] = shard, replica
            connection.ask(message)
            return connection
        pieces = (message[start : start + _PIECE_BYTES] for start in range(0, len(message), _PIECE_BYTES))
        return actor.answer.remote(*pieces)

    def machine(self, shard: int, replica: int) -> Hashable:
        """Where a replica is; until it has told, it is alone there."""
        return self._hosts.get((shard, replica), (shard, replica))

    def _connection(self, shard: int, replica: int) -> Connection | None:
        """A connection to an actor that is idle now. None: there is none yet; each request brings it one step closer.

        None of the steps waits: a machine may not be reached by Ray, nor past it.
        """
        own = shard, replica
        idle = self._idle.setdefault(own, [])
        with contextlib.suppress(IndexError):  # none is left: other threads take some, too
            while True:
                waiting = idle.pop()
                if waiting.is_open:
                    return waiting
                waiting.close()
        connection = self._connecting.pop(own, None) or self._begun(own)
        is_open = False if connection is None else connection.is_open
        if connection is None or is_open:
            return connection
        if is_open is None:
            self._connecting[own] = connection
        else:
            connection.close()
        return None

    def _begun(self, own: tuple[int, int]) -> Connection | None:
        """A new connection to an actor, once Ray has told its address."""
        asked = self._addresses.pop(own, None) or self._actors[own].address.remote()
        if not super().ended([asked], 0):
            self._addresses[own] = asked
            return None
        address = self.result(asked)
        if not isinstance(address, tuple):
            return None
        at = Address(*address)
        self._hosts[own] = at.host
        return Connection(at)

    def ended(self, calls: Sequence[Any], seconds: float) -> list[Any]:
        """Those calls that have ended."""
        failed = [call for call in calls if isinstance(call, _NoCall)]
        if failed:
            return failed
        direct = [call for call in calls if isinstance(call, Connection)]
        by_ray = [call for call in calls if not isinstance(call, Connection)]
        if not by_ray:
            return [*connections.ended(direct, seconds)]
        if not direct:
            return super().ended(by_ray, seconds)
        end = self.now() + seconds
        while True:
            found = connections.ended(direct, min(_TURN_SECONDS, max(end - self.now(), 0)))
            every = [*found, *super().ended(by_ray, 0)]
            if every or self.now() >= end:
                return every

    def result(self, call: Any) -> Any:
        """What a call came to."""
        if isinstance(call, Connection):
            self._idle[self._busy.pop(call)].append(call)
            return call.result
        return Lost("is not served") if isinstance(call, _NoCall) else super().result(call)

    def give_up(self, call: Any) -> None:
        """End a connection whose answer is no longer wanted; of Ray, a result that nobody waits for is dropped."""
        if isinstance(call, Connection):
            del self._busy[call]
            call.close()

    def _actor(self, shard: int, replica: int) -> Any:
        if (shard, replica) not in self._actors:
            try:
                self._actors[shard, replica] = _ray().get_actor(replica_name(self._layout, shard, replica), _NAMESPACE)
            except ValueError:
                return None
        return self._actors[shard, replica]


class _NoCall:
    """In place of a call of a replica that is not there."""


def replica_name(layout: Layout, shard: int, replica: int) -> str:
    """What an actor is called."""
    return f"{layout.identity}-{layout.shards[shard]}-{replica}"


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingFeatureError("a cluster of machines needs Ray: pip install 'featmatch[cluster]'") from error
    return ray
