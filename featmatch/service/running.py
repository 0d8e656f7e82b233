"""A service as a process: it listens, and ends when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from prometheus_client import start_http_server
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from featmatch.errors import FeatmatchError, UsageError
from featmatch.service.app import Service
from featmatch.service.connections import MOST_HEAD_BYTES, TimedConnection
from featmatch.service.guard import Guard, JsonLines, TextLines, log
from featmatch.service.metrics import Metrics
from featmatch.service.options import ServeOptions
from featmatch.service.problems import Problem

_FINISH_SECONDS = 20.0  # for requests under way, all in all
_IDLE_SECONDS = 75  # that a connection may be kept without a request


def check_startable(options: ServeOptions) -> None:
    """Refuse to be reached from elsewhere without keys.

    Raises:
        UsageError: it would be.
    """
    if options.keys is None and not options.is_local:
        raise UsageError(f"without --keys FILE only this machine may ask: {options.host} is reached from elsewhere")


def listen(options: ServeOptions) -> socket.socket:
    """The socket that is listened on.

    Raises:
        FeatmatchError: the address is in use, or is none of this machine.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # With its protocol named, asyncio sends each part of an answer at once: else the second waits for 40 ms.
    stream = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        stream.bind((options.host, options.port))
    except OSError as error:
        stream.close()
        raise FeatmatchError(f"cannot listen on {options.host}:{options.port}: {error.strerror}") from error
    return stream


def serve(
    open_service: Callable[[], Service], stream: socket.socket, options: ServeOptions, *, ready: Callable[[], None]
) -> None:
    """Answer requests until SIGTERM or SIGINT; then finish those under way.

    Args:
        open_service: opens what is served, in a thread; until it returns, requests are told that the service starts.
        stream: the socket that is listened on.
        options: how.
        ready: called when the service is open.

    Raises:
        Exception: what ``open_service`` raised.
        FeatmatchError: the port for numbers is in use.
    """
    starting = Starting(options)
    config = uvicorn.Config(
        starting, http=TimedConnection, log_config=None, access_log=False, server_header=False, proxy_headers=False,
        ws="none", loop="asyncio", lifespan="off",
        h11_max_incomplete_event_size=MOST_HEAD_BYTES, timeout_keep_alive=_IDLE_SECONDS,
    )  # fmt: skip
    with _written_down(options), contextlib.ExitStack() as numbers:

        def open_all() -> Service:
            service = open_service()
            numbers.enter_context(tell_numbers(service, options))
            return service

        server = _Server(config, starting, open_all, ready)
        asyncio.run(server.serve([stream]))
    if server.error is not None:
        raise server.error


@contextlib.contextmanager
def _written_down(options: ServeOptions) -> Iterator[None]:
    """Write what happens to standard error, in one form: also what connections say that bring no request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if options.log == "json" else TextLines())
    log.setLevel(logging.INFO)
    log.propagate = False
    loggers = [log, logging.getLogger("uvicorn.error"), logging.getLogger("asyncio")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


class Starting:
    """An ASGI application that refuses requests until there is a service, which answers them then.

    Attributes:
        service: once it is open.
    """

    def __init__(self, options: ServeOptions) -> None:
        self.service: Service | None = None
        self._guard = Guard(_refuse, options, None, Metrics())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await (self.service or self._guard)(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if not scope["path"].endswith("/healthz/live"):
        raise Problem("starting")
    await PlainTextResponse("ok\n")(scope, receive, send)


@contextlib.contextmanager
def tell_numbers(service: Service, options: ServeOptions) -> Iterator[int]:
    """Tell Prometheus the numbers of a service on a port of their own, if the options name one.

    Yields:
        The port; 0: there is none.

    Raises:
        FeatmatchError: the port is in use.
    """
    if options.metrics_port is None:
        yield 0
        return
    try:
        server, thread = start_http_server(options.metrics_port, options.host, service.metrics.registry)
    except OSError as error:
        message = f"cannot listen on {options.host}:{options.metrics_port}: {error.strerror}"
        raise FeatmatchError(message) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(uvicorn.Server):
    """Ends with status 0, as a service should that was told to end; uvicorn would end by the signal itself."""

    def __init__(
        self, config: uvicorn.Config, starting: Starting, open_service: Callable[[], Service], ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self.error: Exception | None = None  # why there is no service
        self._starting = starting
        self._open_service = open_service
        self._ready = ready
        self._opening: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        try:
            service = await asyncio.to_thread(self._open_service)
        except Exception as error:
            self.error = error
            self.should_exit = True
            return
        if self.should_exit:
            service.stop()
        self._starting.service = service
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        last = time.monotonic() + _FINISH_SECONDS
        if self._starting.service is not None:  # as long as it searches, it listens, and refuses what is new
            await self._starting.service.drain(_FINISH_SECONDS)
        self.config.timeout_graceful_shutdown = max(round(last - time.monotonic()), 1)
        await super().shutdown(sockets)
        if self._opening is not None:
            await self._opening
        if self._starting.service is not None:
            await self._starting.service.finish(last - time.monotonic())

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        former = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        if hasattr(signal, "SIGHUP"):
            former[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._read_keys_again)
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._starting.service is not None:
            self._starting.service.stop()
        super().handle_exit(sig, frame)

    def _read_keys_again(self, sig: int, frame: FrameType | None) -> None:
        del sig, frame
        service = self._starting.service
        if service is None or service.keys is None:
            return
        try:
            service.keys.read_again()
        except UsageError as error:
            log.error("the keys stay as they were", extra={"told": {"reason": str(error)}})
