"""Connections that are too slow, too many, or bring what is no HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from featmatch.service.connections import MOST_HEAD_BYTES, TimedConnection
from featmatch.service.options import ServeOptions
from featmatch.service.running import listen


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers when the whole body is there."""
    if scope["type"] != "http":
        return
    parts = [await receive()]
    while parts[-1].get("more_body"):
        parts.append(await receive())
    sizes = [len(part.get("body", b"")) for part in parts]
    headers = [(b"content-length", b"5"), (b"largest", b"%d" % max(sizes)), (b"whole", b"%d" % sum(sizes))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


untaken = threading.Event()


async def endless(scope: Any, receive: Any, send: Any) -> None:
    """An application that sends until the client is gone."""
    if scope["path"] != "/endless":
        await hello(scope, receive, send)
        return
    await receive()
    gone = asyncio.ensure_future(receive())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while not gone.done():
        await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        await asyncio.sleep(0)
    untaken.set()


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.up.set()


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Of a server that waits for a fifth of a second."""
    monkeypatch.setattr(TimedConnection, "head_seconds", 0.2)
    monkeypatch.setattr(TimedConnection, "taking_seconds", 0.2)
    with serving() as where:
        yield where


@pytest.fixture(scope="module")
def others() -> Iterator[tuple[str, int]]:
    with serving() as where:
        yield where


@pytest.fixture
def patient(others: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """Of a server that takes its time, and three connections."""
    monkeypatch.setattr(TimedConnection, "most", 3)
    return others


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, int]]:
    stream = listen(ServeOptions(port=0))
    where = stream.getsockname()
    server = Server(
        uvicorn.Config(
            endless, http=TimedConnection, h11_max_incomplete_event_size=MOST_HEAD_BYTES, log_config=None,
            lifespan="off", ws="none", timeout_keep_alive=600, timeout_graceful_shutdown=1,
        )
    )  # fmt: skip
    thread = threading.Thread(target=server.run, args=([stream],))
    thread.start()
    assert server.up.wait(60)
    try:
        yield where
    finally:
        server.should_exit = True
        thread.join(60)


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize("begun", [b"", b"GET / HT", HEAD[:-2]])
def test_a_head_that_does_not_come_ends_the_connection(address: tuple[str, int], begun: bytes) -> None:
    with socket.create_connection(address, 60) as stream:
        stream.sendall(begun)
        assert stream.recv(100) == b""


def test_a_body_may_take_longer_and_the_next_head_is_timed_again(address: tuple[str, int]) -> None:
    with socket.create_connection(address, 60) as slow, socket.create_connection(address, 60) as other:
        slow.sendall(HEAD + b"a")
        assert other.recv(100) == b""  # its time is over, and so is that of the first
        slow.sendall(b"b")
        answer = b""
        while not answer.endswith(b"hello"):
            answer += slow.recv(1000)
        slow.sendall(HEAD[:9])
        assert slow.recv(100) == b""


def answer_of(stream: socket.socket, asked: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    (answer,) = answers_of(stream, asked, 1)
    return answer


def answers_of(stream: socket.socket, asked: bytes, count: int) -> list[tuple[int, dict[str, str], bytes]]:
    """So many answers, in the order in which they come."""
    stream.sendall(asked)
    answers = []
    with stream.makefile("rb") as file:
        for _ in range(count):
            status = int(file.readline().split()[1])
            headers = {}
            while (line := file.readline()) != b"\r\n":
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            answers.append((status, headers, file.read(int(headers["content-length"]))))
    return answers


def begin(stream: socket.socket) -> None:
    """A request without its body, of which the server knows."""
    stream.sendall(HEAD[:-2] + b"Expect: 100-continue\r\n\r\n")
    assert stream.recv(100).startswith(b"HTTP/1.1 100 ")


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_one_connection_too_many_ends_the_one_that_is_idle_for_longest(patient: tuple[str, int]) -> None:
    with contextlib.ExitStack() as stack:
        busy, begun, used = (stack.enter_context(socket.create_connection(patient, 60)) for _ in range(3))
        assert answer_of(busy, GET)[0] == 200  # so that the server has all of them, in this order
        assert answer_of(used, GET)[0] == 200
        begin(busy)
        begun.sendall(GET[:9])
        assert answer_of(stack.enter_context(socket.create_connection(patient, 60)), GET)[0] == 200
        with contextlib.suppress(ConnectionError):
            assert begun.recv(100) == b""
        assert answer_of(used, GET)[0] == 200
        assert answer_of(busy, b"ab")[0] == 200


def test_where_all_are_at_work_one_more_is_told_to_come_again(patient: tuple[str, int]) -> None:
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(socket.create_connection(patient, 60)) for _ in range(3)]
        for stream in busy:
            assert answer_of(stream, GET)[0] == 200
            begin(stream)
        with socket.create_connection(patient, 60) as late:
            status, headers, body = answer_of(late, GET)
            assert (status, headers["retry-after"], json.loads(body)["code"]) == (503, "1", "busy")
            assert headers["x-request-id"] == json.loads(body)["request_id"]
            assert late.recv(100) == b""
        with socket.create_connection(patient, 60) as probe:
            assert answer_of(probe, GET.replace(b"/", b"/healthz/live", 1))[0] == 200
        assert [answer_of(stream, b"ab")[0] for stream in busy] == [200] * 3


def test_an_answer_that_is_not_taken_is_broken_off(address: tuple[str, int]) -> None:
    untaken.clear()
    with socket.create_connection(address, 60) as stream:
        stream.sendall(GET.replace(b"/", b"/endless", 1))
        assert untaken.wait(60)


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: +5\r\n", b"Content-Length: 0x5\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding: \x0bchunked\r\n", b"A: \x00\r\n", b"Host: b\r\n",
        b"A: " + b"a" * 2 * MOST_HEAD_BYTES, b"A: a\r\n" * 10_000,
    ],
)  # fmt: skip
def test_a_head_that_two_servers_may_read_in_two_ways_is_refused(patient: tuple[str, int], lines: bytes) -> None:
    with socket.create_connection(patient, 60) as stream, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        status, headers, body = answer_of(stream, HEAD.replace(b"Content-Length: 2\r\n", lines) + b"0\r\n\r\n" + GET)
        assert (status, headers["content-type"]) == (400, "application/problem+json")
        assert (json.loads(body)["code"], headers["connection"]) == ("bad_request", "close")
        assert stream.recv(100) == b""
    with socket.create_connection(patient, 60) as stream:
        assert answer_of(stream, GET)[0] == 200


def test_lies_in_chunks_end_the_connection_also_after_the_answer(patient: tuple[str, int]) -> None:
    head = HEAD.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")
    for lie in (b"zz\r\n", b"-5\r\nabc", b"2\r\nabcd\r\n"):
        with socket.create_connection(patient, 60) as stream:
            assert answer_of(stream, head + lie)[0] == 400


def test_small_chunks_do_not_hold_up_the_others(patient: tuple[str, int]) -> None:
    chunks, whole = b"1\r\na\r\n" * 5_000 + b"0\r\n\r\n", b"a" * 400_000
    with socket.create_connection(patient, 60) as stream:
        head = HEAD.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")
        assert int(answer_of(stream, head + chunks)[1]["largest"]) <= 4096 // 6 + 1
        head = HEAD.replace(b"Length: 2", b"Length: 400000")
        assert int(answer_of(stream, head + whole)[1]["largest"]) > 4096


def test_requests_that_come_at_once_are_answered_in_order(patient: tuple[str, int]) -> None:
    sizes = [str(1 + number % 97) for number in range(300)]
    asked = b"".join(HEAD.replace(b"Length: 2", b"Length: " + size.encode()) + b"G" * int(size) for size in sizes)
    with socket.create_connection(patient, 60) as stream, socket.create_connection(patient, 60) as other:
        stream.sendall(asked)
        assert answer_of(other, GET)[0] == 200
        assert [headers["whole"] for _, headers, _ in answers_of(stream, b"", len(sizes))] == sizes
        good, bad = answers_of(stream, GET + b"\0\0\0\r\n\r\n" + GET, 2)
        assert (good[0], bad[0], bad[1]["connection"]) == (200, 400, "close")
        assert stream.recv(100) == b""
