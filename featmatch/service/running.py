"""A service as a process: it listens, and ends when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from prometheus_client import start_http_server

from featmatch.errors import FeatmatchError, UsageError
from featmatch.service.app import Service
from featmatch.service.connections import TimedConnection
from featmatch.service.guard import JsonLines, TextLines, log
from featmatch.service.options import ServeOptions

_FINISH_SECONDS = 20  # for requests under way
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


def serve(service: Service, stream: socket.socket, options: ServeOptions, *, ready: Callable[[], None]) -> None:
    """Answer requests until SIGTERM or SIGINT; then finish those under way.

    Args:
        service: what is served.
        stream: the socket that is listened on.
        options: how.
        ready: called when requests are answered.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if options.log == "json" else TextLines())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    config = uvicorn.Config(
        service, http=TimedConnection, log_config=None, access_log=False, server_header=False, proxy_headers=False,
        ws="none", loop="asyncio",
        timeout_keep_alive=_IDLE_SECONDS, timeout_graceful_shutdown=_FINISH_SECONDS,
    )  # fmt: skip
    try:
        with tell_numbers(service, options):
            asyncio.run(_Server(config, service, ready).serve([stream]))
    finally:
        log.removeHandler(handler)


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

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

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
        self._service.stop()
        super().handle_exit(sig, frame)

    def _read_keys_again(self, sig: int, frame: FrameType | None) -> None:
        del sig, frame
        if self._service.keys is None:
            return
        try:
            self._service.keys.read_again()
        except UsageError as error:
            log.error("the keys stay as they were", extra={"told": {"reason": str(error)}})
