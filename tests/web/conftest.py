"""A service of a drawn collection, and a browser that looks at its page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browsers import chromium
from tests.web.drawn import make_collection, make_index

Start = Callable[..., "Server"]
Open = Callable[..., Any]


class Server:
    """A service as a process of its own."""

    def __init__(self, index: Path, *options: object, port: int = 0) -> None:
        few = ("--searches", 1, "--queue", 10)  # one process that decodes is started, and not one for each core
        self.process = subprocess.Popen(
            [sys.executable, "-m", "featmatch", "serve", index, *map(str, (*few, *options)), "--port", str(port)],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        # A page that waits for the service may have asked before it says that it is there.
        log = iter(self.process.stderr.readline, "")
        said = next((line for line in log if "serving" in line), "")
        assert said, "it ended"
        self.address = said.rstrip().rsplit(" at ", 1)[1] + "/"
        self.port = int(self.address.rsplit(":", 1)[1].strip("/"))
        # What it logs must not fill the pipe.
        self._log = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def ask(self, method: str, path: str, told: Any = None) -> Any:
        body = None if told is None else json.dumps(told).encode()
        request = urllib.request.Request(
            self.address + path, body, {"Content-Type": "application/json"} if body else {}, method=method
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def group(self) -> list[Any]:
        """Have it find the groups, and wait for them."""
        job = self.ask("POST", "v1/jobs", {"kind": "groups"})
        with urllib.request.urlopen(f"{self.address}v1/jobs/{job['id']}/events", timeout=120) as events:
            assert b"event: done" in events.read()
        groups: list[Any] = self.ask("GET", "v1/groups?limit=1000")["groups"]
        return groups

    def end(self) -> None:
        self.process.kill()
        self.process.wait(30)
        self._log.wait(30)
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures. Not to be written to."""
    folder = tmp_path_factory.mktemp("web") / "photos"
    make_collection(folder)
    return folder


@pytest.fixture(scope="session")
def made_index(photos: Path) -> Path:
    """An index of them, with its groups remembered. Not to be written to."""
    index = make_index(photos.parent / "photos.fm", photos)
    assert len(index.groups(jobs=1)) == 10
    return photos.parent / "photos.fm"


@pytest.fixture(scope="package")
def start(made_index: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts services of copies of the index; they end with the tests of the page."""
    servers: list[Server] = []

    def begin(*options: object, index: Path | None = None, port: int = 0) -> Server:
        if index is None:
            index = tmp_path_factory.mktemp("served") / "photos.fm"
            shutil.copytree(made_index, index)
        servers.append(Server(index, "--root", photos, *options, port=port))
        return servers[-1]

    yield begin
    for server in servers:
        if server.process.poll() is None:
            server.end()


@pytest.fixture(scope="package")
def server(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """One that writes, with groups, for tests that leave it as it is."""
    server = start("--writable", "--uploads", tmp_path_factory.mktemp("uploads"), "--files")
    server.group()
    return server


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Opens pages in tabs of their own; afterwards looks that nothing complained, and no other host was asked."""
    tabs: list[Any] = []

    def begin(address: str, *, size: tuple[int, int] = (1280, 800), allowed: str = "", **options: Any) -> Any:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, accept_downloads=True, **options)
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.complaints, tab.asked, tab.allowed = [], [], allowed
        tab.on("console", lambda said: said.type in ("error", "warning") and tab.complaints.append(said.text))
        tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.on("dialog", lambda dialog: tab.complaints.append(f"dialog {dialog.message}"))
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.goto(address)
        tab.own = address.split("/")[2]
        tabs.append(tab)
        return tab

    yield begin
    for tab in tabs:
        hosts = {url.split("/")[2] for url in tab.asked if url.startswith("http")}
        complaints = [said for said in tab.complaints if not (tab.allowed and re.search(tab.allowed, said))]
        tab.context.close()
        assert complaints == []
        assert hosts <= {tab.own}
