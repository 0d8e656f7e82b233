"""The bodies of requests, within bounds: of each, and of all that are under way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message

from featmatch.service.problems import Problem


class BodyRefusedError(MultiPartException):
    """Of a kind upon which the parser of forms closes its files."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(self.problem.detail)


class Bodies:
    """How many bytes the bodies of all requests have that are under way, so that they cannot fill the memory."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0

    @contextlib.contextmanager
    def of_one(self) -> Iterator[Callable[[int], None]]:
        """Takes room for more of the body of a request, which is given back in the end.

        Yields:
            Takes so many bytes, or raises the problem that there is no room for them.
        """
        own = 0

        def take(count: int) -> None:
            nonlocal own
            if self._bytes + count > self._most:
                raise BodyRefusedError(Problem("busy", "the requests under way are too large together"))
            self._bytes += count
            own += count

        try:
            yield take
        finally:
            self._bytes -= own


class BoundedBody:
    """Receives the messages of a request, until its body is too large."""

    def __init__(self, request: Request, most_bytes: int) -> None:
        """Refuse at once what says that it is too large.

        Raises:
            Problem: it does.
        """
        self._receive = request.receive
        self._take: Callable[[int], None] = request.scope["featmatch.take"]
        self._most = most_bytes
        self._bytes = 0
        text = request.headers.get("content-length", "0")
        declared = int(text) if text.isascii() and text.isdigit() else 0
        if declared > most_bytes:
            raise _too_large(declared, most_bytes)

    async def __call__(self) -> Message:
        """The next message.

        Raises:
            MultiPartException: the body is too large by now, or those of all requests are.
        """
        message = await self._receive()
        if message["type"] == "http.request":
            count = len(message.get("body", b""))
            self._bytes += count
            if self._bytes > self._most:
                raise BodyRefusedError(_too_large(self._bytes, self._most))
            self._take(count)
        return message


def _too_large(count: int, most: int) -> Problem:
    return Problem("body_too_large", f"the body has {count} bytes or more; {most} at most")
