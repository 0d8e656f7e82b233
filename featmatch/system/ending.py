"""How a run of the command line ends before its time: by Ctrl-C, SIGTERM, SIGHUP. Imports next to nothing."""

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
    """The run is to end now. Whoever cleans up after Ctrl-C cleans up after this.

    Attributes:
        signal: the number of what ended it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Within this, the first of the signals is raised as ``Ended``.

    Those that come later change nothing: terminals and supervisors send several at once, and none of them may tear what
    the first one makes us save.
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


def at_once() -> None:
    """From now on each of the signals ends the process, without a word: there is nothing to save."""
    _handle(lambda number, frame: os._exit(128 + number))


def _handle(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Let a handler have the signals; return what had them before."""
    if threading.current_thread() is not threading.main_thread():  # only that one is told of signals
        return {}
    # One that is ignored stays so: nohup asks for that, and shells for what runs in the background.
    heeded = [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    return {number: signal.signal(number, handler) for number in heeded}
