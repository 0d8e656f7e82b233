"""A service as a process of its own: it listens, and ends when it is told to."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from featmatch import FeatmatchError, Index, UsageError
from featmatch.service.app import Service, open_service
from featmatch.service.keys import new_key
from featmatch.service.options import ServeOptions
from featmatch.service.running import check_startable, listen, serve, tell_numbers
from featmatch.service.searching import search_once
from featmatch.service.slots import Slots

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


class Process:
    """A server that has said where it is."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "featmatch", "serve", *map(str, arguments), "--port", "0"],
            stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
        )  # fmt: skip
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline()
        self.port = int(self.said.rstrip().rsplit(":", 1)[1].split("/")[0]) if "serving" in self.said else 0

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content[:1] == b"{" else content
        finally:
            connection.close()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(60)
        assert self.process.stderr is not None
        self.rest = self.process.stderr.read()
        self.process.stderr.close()
        return status


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def run(*arguments: object, **environment: str) -> Process:
        started.append(Process(*arguments, **environment))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)
        elif one.process.stderr is not None:
            one.process.stderr.close()


def test_it_answers_and_ends_when_it_is_told_to(start: Callable[..., Process], index: Index, drawn: list[Path]) -> None:
    server = start(index.folder)
    assert server.said == f"serving {index.folder} at http://127.0.0.1:{server.port}\n"
    status, told = server.ask("POST", "/v1/search", drawn[0].read_bytes())
    assert (status, told["matches"][0]["id"]) == (200, 1)
    assert server.ask("GET", "/healthz/live")[0] == 200
    assert server.end(signal.SIGTERM) == 0
    lines = [json.loads(line) for line in server.rest.splitlines()]
    assert [line["route"] for line in lines] == ["/v1/search", "/healthz/live"]


def asked(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Retry-After"), answer.read()
    finally:
        connection.close()


def test_until_its_indexes_are_open_it_says_that_it_starts(index: Index) -> None:
    options = ServeOptions(port=0)
    stream = listen(options)
    port = stream.getsockname()[1]
    seen: list[Any] = []

    def opening() -> Service:
        seen.extend(asked(port, path) for path in ("/healthz/live", "/healthz/ready", "/v1/search"))
        return Service({"": index}, options)

    def told() -> None:
        def end() -> None:
            seen.append(asked(port, "/healthz/ready"))
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=end).start()

    serve(opening, stream, options, ready=told)
    assert [answer[:2] for answer in seen] == [(200, None), (503, "1"), (503, "1"), (200, None)]
    assert json.loads(seen[1][2])["code"] == json.loads(seen[2][2])["code"] == "starting"


def test_while_it_ends_searches_are_finished_and_new_requests_are_refused(
    index: Index, drawn: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ServeOptions(port=0)
    stream = listen(options)
    port = stream.getsockname()[1]
    begun, ending, go_on = threading.Event(), threading.Event(), threading.Event()
    drain = Slots.drain
    answers: list[int] = []
    refusals: list[Any] = []

    def slow(*given: Any, **more: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return search_once(*given, **more)

    def draining(slots: Slots, seconds: float) -> Any:
        ending.set()
        return drain(slots, seconds)

    def search() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/v1/search", drawn[0].read_bytes())
        answers.append(connection.getresponse().status)
        connection.close()

    def end() -> None:
        begun.wait(60)
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            assert ending.wait(60)
            refusals.extend(asked(port, path) for path in ("/v1", "/healthz/ready", "/healthz/live"))
        finally:
            go_on.set()

    monkeypatch.setattr("featmatch.service.searching.search_once", slow)
    monkeypatch.setattr(Slots, "drain", draining)
    threads = [threading.Thread(target=target) for target in (search, end)]

    def ready() -> None:
        for thread in threads:
            thread.start()

    serve(lambda: Service({"": index}, options), stream, options, ready=ready)
    for thread in threads:
        thread.join(60)
    assert answers == [200]
    assert [answer[:2] for answer in refusals] == [(503, "1"), (503, "1"), (200, None)]
    assert {json.loads(answer[2])["code"] for answer in refusals[:2]} == {"stopping"}


def test_what_cannot_be_opened_ends_it(tmp_path: Path) -> None:
    options, ready = ServeOptions(port=0), []
    with pytest.raises(FeatmatchError, match="no featmatch index"):
        serve(lambda: open_service({"": tmp_path}, options), listen(options), options, ready=lambda: ready.append(1))
    assert ready == []


def test_an_interrupt_ends_it_too(start: Callable[..., Process], index: Index) -> None:
    assert start(index.folder, "--log", "text").end(signal.SIGINT) == 0


def test_keys_are_read_again_when_it_is_told_to(start: Callable[..., Process], index: Index, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    old = f"Bearer {new_key(keys, 'old', 'read')}"
    server = start(index.folder, FEATMATCH_KEYS=str(keys))
    assert server.ask("GET", "/v1", Authorization=old)[0] == 200
    keys.unlink()
    new = f"Bearer {new_key(keys, 'new', 'read')}"
    server.process.send_signal(signal.SIGHUP)
    while server.ask("GET", "/v1", Authorization=new)[0] != 200:
        pass
    assert server.ask("GET", "/v1", Authorization=old)[1]["code"] == "key_unknown"
    keys.write_text("nonsense")
    server.process.send_signal(signal.SIGHUP)
    assert server.ask("GET", "/v1", Authorization=new)[0] == 200
    assert server.end() == 0


def test_what_was_answered_outlives_a_kill(
    start: Callable[..., Process], index: Index, drawn: list[Path], tmp_path: Path
) -> None:
    arguments = (index.folder, "--writable", "--uploads", tmp_path / "uploads")
    server = start(*arguments)
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + drawn[5].read_bytes()
    status, told = server.ask(
        "POST", "/v1/images", body + b"\r\n--b--\r\n", **{"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert (status, told["added"]) == (201, [{"id": 6, "name": "a"}])
    server.end(signal.SIGKILL)
    again = start(*arguments)
    assert again.ask("POST", "/v1/search", drawn[5].read_bytes())[1]["matches"][0]["id"] == 6
    assert again.ask("GET", "/v1/images/6/thumbnail")[0] == 200
    assert again.end() == 0


def test_curl_gets_what_the_command_prints(start: Callable[..., Process], index: Index, drawn: list[Path]) -> None:
    told = start(index.folder).ask(
        "POST", "/v1/search", drawn[2].read_bytes(), **{"Content-Type": "application/x-www-form-urlencoded"}
    )[1]
    command = [sys.executable, "-m", "featmatch", "query", str(index.folder), str(drawn[2]), "--json"]
    printed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert printed["matches"]
    assert {name: told[name] for name in printed if name not in ("query", "matches")} == {
        name: value for name, value in printed.items() if name not in ("query", "matches")
    }  # fmt: skip
    for match, expected in zip(told["matches"], printed["matches"], strict=True):
        assert {name: match[name] for name in expected} == expected


def test_killing_what_decodes_costs_a_request_at_most(
    start: Callable[..., Process], index: Index, drawn: list[Path]
) -> None:
    server = start(index.folder)
    content = drawn[0].read_bytes()
    assert server.ask("POST", "/v1/search", content)[0] == 200
    workers = psutil.Process(server.process.pid).children()
    assert workers
    for worker in workers:
        worker.kill()
    statuses = [server.ask("POST", "/v1/search", content)[0] for _ in range(3)]
    assert statuses[1:] == [200, 200]
    assert statuses[0] in (200, 422)
    assert server.end() == 0


def test_without_keys_only_this_machine_may_ask(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        check_startable(ServeOptions(host=host))
    for host in ("0.0.0.0", "192.168.1.5", "::"):
        with pytest.raises(UsageError, match="without --keys"):
            check_startable(ServeOptions(host=host))
        check_startable(ServeOptions(host=host, keys=tmp_path / "keys"))


def test_numbers_are_told_on_a_port_of_their_own(index: Index) -> None:
    options = ServeOptions(metrics_port=0)
    with tell_numbers(Service({"": index}, options), options) as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            assert b'featmatch_images{index="/"} 5.0' in answer.read()
        taken = ServeOptions(metrics_port=port)
        with pytest.raises(FeatmatchError, match="cannot listen"), tell_numbers(Service({"": index}, options), taken):
            pass
    with tell_numbers(Service({"": index}, ServeOptions()), ServeOptions()) as none:
        assert none == 0


def test_an_address_that_is_in_use_is_told_of() -> None:
    with listen(ServeOptions(port=0)) as stream:
        assert stream.proto == socket.IPPROTO_TCP  # what asyncio asks before it turns Nagle's algorithm off
        stream.listen()
        with pytest.raises(FeatmatchError, match=r"cannot listen on 127\.0\.0\.1"):
            listen(ServeOptions(port=stream.getsockname()[1]))
