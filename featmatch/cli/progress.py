"""How far work is, on standard error: bars on a terminal; elsewhere a line every ten seconds, as for a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from tqdm import tqdm

from featmatch.cli.common import tell
from featmatch.system.progress import StageProgress, ignore

_SECONDS = 10.0  # between two lines


class _Lines:
    """Tells how far a stage is, from time to time."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._last = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _SECONDS and done < total:
            self._last = now
            tell(f"{stage}: {done} of {total}{self._unit}")


@contextlib.contextmanager
def progress_bars(unit: str = "", *, hidden: bool = False) -> Iterator[StageProgress]:
    """One bar for each stage, in turn: the bar of a stage ends when another stage is reported.

    Args:
        unit: what is counted, as the bar names it: "12 images/s".
        hidden: show nothing.
    """
    if hidden or not sys.stderr.isatty():
        yield ignore if hidden else _Lines(unit)
        return
    bar: tqdm[None] | None = None
    shown = ""

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal bar, shown
        if bar is None or stage != shown:
            if bar is not None:
                bar.close()
            bar, shown = tqdm(desc=stage, total=total, unit=unit or "it", disable=None, dynamic_ncols=True), stage
        bar.update(done - bar.n)

    try:
        yield progress
    finally:
        if bar is not None:
            bar.close()
