"""Ending a run of the command line early, by Ctrl-C, SIGTERM or SIGHUP. Imports next to nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

INTERRUPT = int(signal.SIGINT)
BROKEN_PIPE = 13  # SIGPIPE, which Windows does not have
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Ended(KeyboardInterrupt):
    """A signal asked the run to end. Code that cleans up after Ctrl-C cleans up after this too.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


@contextlib.contextmanager
def raise_signals() -> Iterator[None]:
    """Raise the first signal that comes inside the ``with`` block as ``Ended``, and ignore later ones.

    Terminals and supervisors send several at once; a later one must not interrupt the saving that the first one began.
    """
    ended = False

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        nonlocal ended
        if not ended:
            ended = True
            raise Ended(number)

    before = _handle(end)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def exit_on_signals() -> None:
    """From now on, let each of the signals end the process at once and silently: there is nothing to save."""
    _handle(lambda number, frame: os._exit(128 + number))


def _handle(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Install a handler for the signals; return the former ones."""
    if threading.current_thread() is not threading.main_thread():  # no other may install any
        return {}
    # Signals that are ignored stay so: nohup asks for that, and shells for what runs in the background.
    heeded = [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    return {number: signal.signal(number, handler) for number in heeded}
