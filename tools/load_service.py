"""Does a service keep its word under load? Clients search, upload and delete, and compare each answer with a dict.

    python -m tools.load_service [--searches 400] [--uploads 40] [--deletions 10] [--clients 8] [--photos FOLDER]

The server is a process of its own, on this machine, with an index of drawn pictures, or of 1,000 photos of a folder.
Each client uploads drawn pictures of its own, so it knows what every search must find. Printed are refusals (503 with
Retry-After is right), the times of searches, uploads and /healthz/live, the memory and the open files of the server as
it goes on, and each limit that was passed; the exit status is 1 if one was: an answer that was wrong, an error,
liveness above 100 ms at p99, a search of one client more than 5 ms longer than in the process at p50, memory or files
that grow.
The long run has --searches 20000 --uploads 2000 --deletions 500; --minutes bounds it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from featmatch import Index, Vocabulary
from tools.small_index import draw_pictures, small_index, small_vocabulary

_DRAWN = 40  # pictures that nobody changes
_PHOTOS = 1000  # or so many, where there is a folder of them
_END_SECONDS = 90.0  # that the server may take
_PROBE_SECONDS = 0.02  # between two looks at /healthz/live
_STATE_EVERY = 10  # looks, the memory and the open files
_MOST_LIVE_MS = 100.0
_MOST_OVERHEAD_MS = 5.0
_MOST_GROWTH = 64 << 20  # bytes, from the end of the first quarter
_MOST_HANDLES = 32  # more of them, from then on


@dataclass
class Load:
    """What is to be done, by all clients together."""

    searches: int = 400
    uploads: int = 40
    deletions: int = 10
    clients: int = 8
    minutes: float = 60.0  # after which no client begins anything new


@dataclass
class Result:
    """What came of it; times in seconds."""

    failures: list[str] = field(default_factory=list)
    refused: int = 0
    searches: list[float] = field(default_factory=list)
    uploads: list[float] = field(default_factory=list)
    live: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)

    def passed(self) -> list[str]:
        """The limits that were passed, in words."""
        told = [f"a failure: {failure}" for failure in self.failures[:20]]
        if len(self.live) > 1 and (live := 1000 * _hundredths(self.live)[98]) > _MOST_LIVE_MS:
            told.append(f"liveness is {live:.0f} ms at p99, above {_MOST_LIVE_MS:.0f} ms")
        growth, handles = _growth(self.memory), _growth(self.handles)
        if growth > _MOST_GROWTH:
            told.append(f"memory grew by {growth / (1 << 20):.0f} MB, more than {_MOST_GROWTH >> 20} MB")
        if handles > _MOST_HANDLES:
            told.append(f"open files grew by {handles:.0f}, more than {_MOST_HANDLES}")
        return told

    def print(self) -> None:
        """Print it."""
        print(f"{len(self.searches)} searches, {len(self.failures)} failures, {self.refused} refused for a while")
        for what, times in (("search", self.searches), ("upload", self.uploads), ("live", self.live)):
            if len(times) > 1:
                hundredths = _hundredths(times)
                print(what, *(f"p{mark}: {1000 * hundredths[mark - 1]:.1f} ms" for mark in (50, 95, 99)))
        places = [round(part * (len(self.memory) - 1) / 4) for part in range(5)]
        states = [f"{self.memory[place] >> 20} MB, {self.handles[place]} files" for place in places]
        print(f"the server, at the start, at each quarter and at the end: {'; '.join(states)}")


def _hundredths(times: Sequence[float]) -> list[float]:
    return statistics.quantiles(times, n=100, method="inclusive")


def _growth(states: Sequence[int]) -> float:
    """From the second quarter of a run to its last one: at first, everything is loaded and grows."""
    quarter = len(states) // 4
    return statistics.median(states[-quarter:]) - statistics.median(states[quarter : 2 * quarter]) if quarter else 0.0


class Server:
    """``featmatch serve`` on an index, in a process of its own, which ends with the block.

    Attributes:
        status: with which it ended; None: it has not.
    """

    def __init__(self, index: Path, uploads: Path) -> None:
        options = ["--writable", "--uploads", str(uploads), "--port", "0"]
        self.status: int | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-m", "featmatch", "serve", str(index), *options], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        found = re.search(r":(\d+)$", self.process.stderr.readline().strip())
        assert found, "it did not start"
        self.port = int(found[1])
        self._lines = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._lines.start()
        self._told = psutil.Process(self.process.pid)

    def state(self) -> tuple[int, int]:
        """Resident memory in bytes, and open files."""
        return self._told.memory_info().rss, self._told.num_fds() if hasattr(self._told, "num_fds") else 0

    def __enter__(self) -> Server:
        """Have it ended at the end, also where what asks it fails."""
        return self

    def __exit__(self, *error: object) -> None:
        """End it as a supervisor does."""
        self.process.terminate()
        try:
            self.status = self.process.wait(_END_SECONDS)
        finally:
            self.process.kill()
        self._lines.join(60)
        assert self.process.stderr is not None
        self.process.stderr.close()


class Asker:
    """One connection to the server."""

    def __init__(self, port: int, result: Result) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._result = result

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "image/png") -> tuple[int, Any]:
        """Status and content; what is refused for a while is asked again when the server says."""
        while True:
            self._connection.request(method, path, body, {"Content-Type": kind} if body else {})
            answer = self._connection.getresponse()
            content = answer.read()
            if answer.status != 503:
                return answer.status, json.loads(content) if content[:1] == b"{" else content
            if not answer.headers.get("Retry-After", "").isdigit():
                self._result.failures.append("503 without Retry-After")
            self._result.refused += 1
            time.sleep(0.05)

    def close(self) -> None:
        """Let the connection go."""
        self._connection.close()


class Client(threading.Thread):
    """Searches, uploads and deletes, and keeps a dict of what must be found."""

    def __init__(self, number: int, port: int, load: Load, pictures: Sequence[bytes], base: Sequence[bytes]) -> None:
        super().__init__()
        share = (load.searches, load.uploads, load.deletions)
        self._steps = [step for step, count in zip("sud", share, strict=True) for _ in range(count // load.clients)]
        self._random = random.Random(number)
        self._random.shuffle(self._steps)
        self._number, self._own, self._base = number, list(pictures), list(base)
        self._there: dict[str, int] = {}  # name -> which of the own pictures
        self.result = Result()
        self._asker = Asker(port, self.result)
        self._last = time.monotonic() + 60 * load.minutes

    def run(self) -> None:
        """Do all of it."""
        try:
            for place, step in enumerate(self._steps):
                if time.monotonic() > self._last:
                    print(f"client {self._number} did {place} of {len(self._steps)} steps in its time")
                    break
                {"s": self._search, "u": self._upload, "d": self._remove}[step](place)
        except Exception as error:
            self.result.failures.append(f"client {self._number}: {error!r}")
        finally:
            self._asker.close()

    def _search(self, place: int) -> None:
        if place % 2 or not self._own:
            picture = self._random.randrange(len(self._base))
            self._look_for(self._base[picture], f"base {picture}", there=True)
        else:
            picture = self._random.randrange(len(self._own))
            names = [name for name, own in self._there.items() if own == picture]
            self._look_for(self._own[picture], names[0] if names else "", there=bool(names))

    def _look_for(self, content: bytes, name: str, *, there: bool) -> None:
        began = time.perf_counter()
        status, told = self._asker.ask("POST", "/v1/search?limit=100", content)
        self.result.searches.append(time.perf_counter() - began)
        found = [] if status != 200 else [one for match in told["matches"] for one in match["names"]]
        if status != 200 or (name not in found if there else bool(found)):
            self.result.failures.append(f"search of {name or 'nothing'}: {status} {found or told}")

    def _upload(self, place: int) -> None:
        missing = [picture for picture in range(len(self._own)) if picture not in self._there.values()]
        picture = missing[place % len(missing)] if missing else place % len(self._own)
        name = f"client {self._number} {picture}"
        form = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n' + self._own[picture]
        form += f'\r\n--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n{name}\r\n--b--\r\n'.encode()
        began = time.perf_counter()
        status, told = self._asker.ask("POST", "/v1/images", form, "multipart/form-data; boundary=b")
        self.result.uploads.append(time.perf_counter() - began)
        if status not in (200, 201) or told["failed"]:
            self.result.failures.append(f"upload of {name}: {status} {told}")
            return
        self._there[name] = picture
        self._look_for(self._own[picture], name, there=True)

    def _remove(self, place: int) -> None:
        if not self._there:
            return
        name = sorted(self._there)[place % len(self._there)]
        picture = self._there.pop(name)
        body = json.dumps({"names": [name]}).encode()
        status, told = self._asker.ask("POST", "/v1/images/delete", body, "application/json")
        if status != 200 or told["removed"] != [name]:
            self.result.failures.append(f"deletion of {name}: {status} {told}")
        self._look_for(self._own[picture], "", there=False)


def make_index(folder: Path, photos: Path | None, vocabulary: Vocabulary | None) -> list[bytes]:
    """Make the index, and return the pictures that nobody changes.

    Args:
        folder: where it is made.
        photos: folder of them; None: they are drawn.
        vocabulary: of the index; None: the one that featmatch brings.
    """
    if photos is None:
        paths = draw_pictures(folder / "base", _DRAWN, seed=7)
    else:
        found = sorted(photos.rglob("*.jpg"))
        paths = found[:: max(len(found) // _PHOTOS, 1)][:_PHOTOS]
    path = folder / "photos.fm"
    index = Index.open(path, create=True) if vocabulary is None else small_index(path, vocabulary)
    base = [path.read_bytes() for path in paths]
    index.add_images((f"base {number}", content) for number, content in enumerate(base))
    return base


def run(load: Load, folder: Path, base: Sequence[bytes]) -> Result:
    """Start a server of the index in a folder, load it, end it."""
    clients = []
    result, over = Result(), threading.Event()
    with Server(folder / "photos.fm", folder / "uploads") as server:
        for number in range(load.clients):
            own = [path.read_bytes() for path in draw_pictures(folder / f"own {number}", 12, seed=1000 + number)]
            clients.append(Client(number, server.port, load, own, base))
        probe = threading.Thread(target=_probe, args=(server, result, over))
        probe.start()
        for client in clients:
            client.start()
        for client in clients:
            client.join()
            result.failures += client.result.failures
            result.searches += client.result.searches
            result.uploads += client.result.uploads
            result.refused += client.result.refused
        over.set()
        probe.join()
    if server.status:
        result.failures.append(f"the server ended with {server.status}")
    there = {name for client in clients for name in client._there} | {f"base {number}" for number in range(len(base))}
    if {record.name for record in Index.open(folder / "photos.fm").images()} != there:
        result.failures.append("the index is not what was answered")
    return result


def _probe(server: Server, result: Result, over: threading.Event) -> None:
    """Look whether the server is alive, again and again, and how large it is."""
    asker = Asker(server.port, result)
    while not over.wait(_PROBE_SECONDS):
        began = time.perf_counter()
        status, _ = asker.ask("GET", "/healthz/live")
        result.live.append(time.perf_counter() - began)
        if status != 200:
            result.failures.append(f"live: {status}")
        if len(result.live) % _STATE_EVERY == 1:
            memory, handles = server.state()
            result.memory.append(memory)
            result.handles.append(handles)
    asker.close()


def overhead(folder: Path, pictures: Sequence[bytes], searches: int) -> tuple[float, float, float]:
    """Median seconds of a search by one client: in this process, over HTTP, and how much longer each took there."""
    index = Index.open(folder / "photos.fm")
    here: list[float] = []
    there: list[float] = []
    with Server(folder / "photos.fm", folder / "uploads") as server:
        asker = Asker(server.port, Result())
        for number in range(searches):
            content = pictures[number % len(pictures)]
            began = time.perf_counter()
            index.query(content)
            middle = time.perf_counter()
            asker.ask("POST", "/v1/search", content)
            here.append(middle - began)
            there.append(time.perf_counter() - middle)
        asker.close()
    more = [over - within for over, within in zip(there, here, strict=True)]
    return statistics.median(here), statistics.median(there), statistics.median(more)


def main() -> int:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    usual = Load()
    for name, value in vars(usual).items():
        parser.add_argument(f"--{name}", type=type(value), default=value, metavar="N", help=f"[default: {value}]")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="of .jpg files")
    options = vars(parser.parse_args())
    photos = options.pop("photos")
    load = Load(**options)
    with tempfile.TemporaryDirectory(prefix="featmatch-") as name:
        os.environ["XDG_CACHE_HOME"] = os.environ["XDG_STATE_HOME"] = name
        folder = Path(name)
        base = make_index(folder, photos, small_vocabulary() if photos is None else None)
        here, there, more = (1000 * seconds for seconds in overhead(folder, base, min(load.searches, 300)))
        print(f"one client: {here:.1f} ms in the process, {there:.1f} ms over HTTP, {more:.1f} ms more (p50)")
        result = run(load, folder, base)
        result.print()
    passed = result.passed()
    if more > _MOST_OVERHEAD_MS:
        passed.append(f"HTTP costs {more:.1f} ms at p50, more than {_MOST_OVERHEAD_MS:.0f} ms")
    for limit in passed:
        print("PASSED THE LIMIT:", limit)
    return bool(passed)


if __name__ == "__main__":
    sys.exit(main())
