"""Progress bars on standard error, shown on a terminal only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tqdm import tqdm

from featmatch.system.progress import StageProgress


@contextlib.contextmanager
def progress_bars(unit: str = "") -> Iterator[StageProgress]:
    """One bar for each stage, in turn: the bar of a stage ends when another stage is reported.

    Args:
        unit: what is counted, as the bar names it: "12 images/s".
    """
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
