"""Connections to the processes that answer for shards: a request and its answer, bytes both, one at a time on each.

A call of an engine takes milliseconds, and a search has two to five rounds of them. So whoever asks often learns from
the engine where a process listens, and asks it there. Nothing here waits but ``ended``, and what listens.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from featmatch.system.workers import Lost

_HEADER = struct.Struct("<?Q")  # whether this is why there is no answer; bytes that follow
_TOKEN_BYTES = 32
_TOKEN_SECONDS = 5.0  # for a stranger to show that it is none
_CHUNK = 1 << 18
_SENT_AT_ONCE = 1 << 20  # bytes of requests that go out while nobody waits for the answers, if the system allows


class Address(NamedTuple):
    """Where a process listens, and what whoever connects has to know."""

    host: str
    port: int
    token: bytes


class Connection:
    """A connection to a process that listens.

    Attributes:
        result: the answer to what was asked last, or why there is none; None: it has not come yet.
    """

    def __init__(self, address: Address) -> None:
        """Begin to connect."""
        self._socket = socket.socket(_family(address.host))
        self.result: bytes | Lost | None = None
        self._unsent = memoryview(address.token)
        self._received = bytearray()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENT_AT_ONCE)
        with contextlib.suppress(OSError):  # ``is_open`` tells
            self._socket.connect((address.host, address.port))

    @property
    def is_open(self) -> bool | None:
        """Whether it can be asked; None: it is still being connected."""
        try:
            if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return False
            try:
                self._socket.getpeername()
            except OSError:
                return None
            self._socket.recv(1, socket.MSG_PEEK)  # the end, or what nobody asked for
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def ask(self, message: bytes) -> None:
        """Send a request, or begin to."""
        self.result = None
        self._received.clear()
        self._unsent = memoryview(b"".join([self._unsent, _HEADER.pack(False, len(message)), message]))
        self.go_on()

    def fileno(self) -> int:
        """Of its socket."""
        return self._socket.fileno()

    @property
    def events(self) -> int:
        """What is to be waited for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    def go_on(self) -> None:
        """Send and receive what takes no waiting."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            while self.result is None:
                part = self._socket.recv(_CHUNK)
                if not part:
                    raise ConnectionError("its process has ended")
                self._received += part
                self._look()
        except BlockingIOError:
            return
        except OSError as error:
            self.close()
            self.result = Lost(str(error))

    def _look(self) -> None:
        """See whether all is there."""
        if len(self._received) < _HEADER.size:
            return
        failed, length = _HEADER.unpack_from(self._received)
        more = len(self._received) - _HEADER.size - length
        if more > 0:
            raise ConnectionError("it answers what it was not asked")
        if not more:
            content = bytes(memoryview(self._received)[_HEADER.size :])
            self.result = Lost(content.decode("utf-8", "replace")) if failed else content

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def __del__(self) -> None:
        self.close()


def ended(connections: Sequence[Connection], seconds: float) -> list[Connection]:
    """Those connections that have a result; the first of them is waited for so long."""
    end = time.monotonic() + seconds
    while True:
        found = [one for one in connections if one.result is not None]
        if found:
            return found
        with selectors.DefaultSelector() as selector:
            for one in connections:
                selector.register(one, one.events, one)
            ready = selector.select(max(end - time.monotonic(), 0))
        if not ready:
            return []
        for key, _ in ready:
            key.data.go_on()


class Listener:
    """Answers whoever connects and knows the token, each in a thread of its own, until its process ends."""

    def __init__(self, answer: Callable[[bytes], bytes], host: str) -> None:
        """Begin to listen.

        Args:
            answer: what a request comes to; called by several threads.
            host: address of this machine by which others know it.

        Raises:
            OSError: nobody can listen there.
        """
        self._answer = answer
        self._socket = socket.create_server((host, 0), family=_family(host))
        self.address = Address(host, self._socket.getsockname()[1], secrets.token_bytes(_TOKEN_BYTES))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with self._socket, contextlib.suppress(OSError):  # too many files are open: whoever asks goes another way
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, struct.error):  # who asked has gone
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.settimeout(_TOKEN_SECONDS)
            stream = connection.makefile("rb")
            if not hmac.compare_digest(stream.read(_TOKEN_BYTES), self.address.token):
                return
            connection.settimeout(None)
            while True:
                _, length = _HEADER.unpack(stream.read(_HEADER.size))
                connection.sendall(self._answered(stream.read(length)))

    def _answered(self, message: bytes) -> bytes:
        try:
            failed, content = False, self._answer(message)
        except Exception as error:  # of a request or a shard that is damaged
            failed, content = True, (str(error) or type(error).__name__).encode()
        return _HEADER.pack(failed, len(content)) + content


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
