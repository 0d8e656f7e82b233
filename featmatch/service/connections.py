"""Connections of HTTP/1.1: none is held by a slow client, and none holds up the others."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from featmatch.service.problems import Problem

MOST_HEAD_BYTES = 32 << 10  # the name of a file may be 4,096 bytes, each written as three
_PART_BYTES = 4 << 10  # that are looked at before the others have their turn: a thousand chunks or lines of a head
_BODY_BYTES = 256 << 10  # the same of a body in one piece, which costs nothing to look at


class TimedConnection(H11Protocol, asyncio.BufferedProtocol):
    """A connection that ends where the head of a request does not come in time, or an answer is not taken.

    There are so many of them at most. One more ends the one that has been without a request for longest; where all
    have one, its own request is refused, unless it asks whether the server is alive.
    """

    most = 500  # at the same time: below the 1,024 files that a process may usually open
    head_seconds = 10.0
    taking_seconds = 30.0  # in which a client takes some of what is sent to it
    _buffer = bytearray()
    _idle_since: float | None = None
    _waiting: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first head."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that we are told whenever something was not taken at once
        if len(self.connections) > self.most:
            self._make_room()
        self._idle_since = self.loop.time()
        self._wait()

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the next part is to be put: a large one only of a body in one piece."""
        del sizehint
        plain = self.conn.their_state is h11.SEND_BODY and all(name != b"transfer-encoding" for name, _ in self.headers)
        self._buffer = bytearray(_BODY_BYTES if plain else _PART_BYTES)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came: with a whole head the waiting ends, with a part of the next one it begins."""
        self.data_received(bytes(memoryview(self._buffer)[:nbytes]))
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._idle_since = None
            self._end_waiting()

    def on_response_complete(self) -> None:
        """Be without a request, until the next one."""
        super().on_response_complete()  # begins the next one, if it is there already
        if self.cycle.response_complete:
            self._idle_since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._end_waiting()
        self._end_taking()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Send no more until the client has taken everything; there is time for as long as it takes something."""
        super().pause_writing()
        self._look_later()

    def resume_writing(self) -> None:
        """Go on sending."""
        self._end_taking()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP as everything else is refused, or hang up in the midst of an answer."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        request_id = secrets.token_hex(8)
        answer = Problem("bad_request", msg).response(request_id)
        headers = [*answer.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
        for event in (
            h11.Response(status_code=answer.status_code, headers=headers, reason=b"Bad Request"),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _make_room(self) -> None:
        idle = {
            one._idle_since: one for one in self.connections
            if isinstance(one, TimedConnection) and one._idle_since is not None
        }  # fmt: skip
        if idle:
            longest = idle[min(idle)]
            self.connections.discard(longest)  # it is told only later that it is lost
            longest.transport.abort()
        else:
            self.app = self._refuse

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.head_seconds, self._close)

    def _end_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _close(self) -> None:
        self.transport.close()

    def _look_later(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(self.taking_seconds, self._look, left)

    def _look(self, left: int) -> None:
        if self.transport.get_write_buffer_size() < left:
            self._look_later()
        else:
            self.transport.abort()

    def _end_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/healthz/live"):
            await self.config.loaded_app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        answer = Problem("busy", "there are too many connections").response(request_id)
        answer.headers.update({"X-Request-Id": request_id, "Connection": "close"})
        await answer(scope, receive, send)
