"""Connections that are too slow."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from featmatch.service.connections import TimedConnection
from featmatch.service.options import ServeOptions
from featmatch.service.running import listen


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers when the whole body is there."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


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
    stream = listen(ServeOptions(port=0))
    where = stream.getsockname()
    server = Server(uvicorn.Config(hello, http=TimedConnection, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, args=([stream],))
    thread.start()
    assert server.up.wait(60)
    yield where
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
