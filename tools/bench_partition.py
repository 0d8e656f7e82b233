"""What do clients see while a machine of a Ray cluster cannot be reached? Prints one line.

    sudo .venv/bin/python -m tools.bench_partition PHOTOS... [--images 200] [--queries 100] [--hedge 1.0]

Two machines, each a network namespace of its own, hold two shards of two replicas. Two clients ask for crops of the
photos; after a third of the queries the cable of one machine is pulled, and after two thirds it is plugged in again.
Nobody is told: no process ends and no connection is closed, as if a switch had failed. Needs Linux, ``ip`` (iproute2),
the right to make namespaces, and Ray.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from featmatch import open_all
from featmatch.adding.batches import AddOptions
from featmatch.cluster.adding import add_to_cluster
from featmatch.cluster.asking import Patience
from featmatch.cluster.ray_engine import connect, start_replicas
from featmatch.cluster.writing import create_cluster
from featmatch.errors import FeatmatchError
from featmatch.images.folders import image_files
from featmatch.system.progress import ignore
from tools.bench_cluster import crop_of

_HEAD, _PORT = "10.77.0.1", 6399
_MACHINES = ("10.77.0.2", "10.77.0.3")
_MEMORY = str(80 << 20)  # bytes of Ray's object store, which is not used


def main() -> None:
    """Build, ask, pull the cable, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("photos", nargs="+", help="files and folders")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--queries", type=int, default=100, help="of each client")
    parser.add_argument("--hedge", type=float, default=1.0, help="seconds after which another replica is asked")
    arguments = parser.parse_args()
    names = list(image_files(arguments.photos))[: arguments.images]
    queries = [crop_of(name) for name in names[:: max(len(names) // 10, 1)]]
    with tempfile.TemporaryDirectory() as temporary, network() as cables:
        folder = Path(temporary) / "photos.fmc"
        create_cluster(folder, 2, 2)
        add_to_cluster(folder, names, AddOptions(-1), root=None, wait=False, progress=ignore)
        local = open_all([folder])
        expected = [[(match.name, match.probability) for match in local.query(query)] for query in queries]
        with machines(Path(temporary)):
            start_replicas(folder)
            served = open_all([folder], ray="auto", patience=Patience(hedge=arguments.hedge, all=30.0))
            seconds: list[float] = []
            told: Counter[str] = Counter()
            turns = threading.Barrier(2, timeout=60)

            def ask(client: int) -> None:
                for number in range(arguments.queries):
                    if number in (arguments.queries // 3, 2 * arguments.queries // 3):
                        turns.wait()
                        if client == 0:
                            cables("down" if number < arguments.queries // 2 else "up")
                    which, at = (number + client) % len(queries), time.monotonic()
                    try:
                        answer = served.query(queries[which])
                    except FeatmatchError as error:
                        told[f"error: {error}"] += 1
                        continue
                    seconds.append(time.monotonic() - at)
                    told["partial"] += bool(answer.missing)
                    told["wrong"] += [(match.name, match.probability) for match in answer] != expected[which]

            clients = [threading.Thread(target=ask, args=(client,)) for client in range(2)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            late = [f"{one:.2f}" for one in sorted(seconds) if one > arguments.hedge]
            print(f"{len(seconds)} of {2 * arguments.queries} answered; {dict(told)}; those above the hedge, s: {late}")


@contextlib.contextmanager
def network() -> Iterator[Callable[[str], None]]:
    """A bridge and a namespace for each machine; yields what pulls the cable of the first one, or plugs it in."""
    bridge, cable = "featmatch", "featmatch{}"
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("addr", "add", f"{_HEAD}/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number, address in enumerate(_MACHINES):
            here, there = cable.format(number), f"featmatch-{number}"
            ip("netns", "add", there)
            ip("link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", there)
            ip("link", "set", here, "master", bridge, "up")
            ip("-n", there, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", there, "link", "set", "eth0", "up")
            ip("-n", there, "link", "set", "lo", "up")
        yield lambda state: ip("link", "set", cable.format(0), state)
    finally:
        for number in range(len(_MACHINES)):
            subprocess.run(["ip", "netns", "del", f"featmatch-{number}"], check=False)
        subprocess.run(["ip", "link", "del", bridge], check=False)


def ip(*arguments: str) -> None:
    """Run ``ip``."""
    subprocess.run(["ip", *arguments], check=True)


@contextlib.contextmanager
def machines(folder: Path) -> Iterator[None]:
    """A Ray of a head here and a node in each namespace, until the end; each node offers a place for each shard."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled", RAY_worker_niceness="0")
    import ray

    started = [
        ray_start(
            folder,
            "--head",
            "--port",
            str(_PORT),
            "--include-dashboard",
            "false",
            "--temp-dir",
            f"{folder}/ray",
            address=_HEAD,
            cores=0,
        )
    ]
    try:
        for number, address in enumerate(_MACHINES):
            offered = '{"shard0": 1, "shard1": 1}'
            begin = ("ip", "netns", "exec", f"featmatch-{number}")
            join = ("--address", f"{_HEAD}:{_PORT}", "--resources", offered)
            started.append(ray_start(folder, *join, address=address, cores=1, begin=begin))
            wait_for(lambda: joined() == len(started))  # two that begin at once here get into each other's way
        yield
    finally:
        ray.shutdown()
        for process in reversed(started):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            process.wait()


def ray_start(
    folder: Path, *options: str, address: str, cores: int, begin: tuple[str, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start one machine of a Ray."""
    program = str(Path(sys.executable).with_name("ray"))
    command = [
        *begin, program, "start", "--block", "--node-ip-address", address, "--num-cpus", str(cores),
        "--object-store-memory", _MEMORY, "--disable-usage-stats", *options,
    ]  # fmt: skip
    with (folder / f"{address}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def joined() -> int:
    """How many machines are there; 0 where none can be asked yet."""
    import ray

    with contextlib.suppress(FeatmatchError):
        connect(f"{_HEAD}:{_PORT}")
        return sum(node["Alive"] for node in ray.nodes())
    return 0


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, three minutes at most."""
    end = time.monotonic() + 180
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit("the machines do not find one another")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
