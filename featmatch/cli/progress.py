"""Progress bars on standard error, on a terminal only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from tqdm import tqdm


@contextlib.contextmanager
def images_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar of images done, with their rate."""
    with stages_bar(" images") as progress:
        yield lambda done, total: progress("indexing", done, total)


@contextlib.contextmanager
def stages_bar(unit: str = "") -> Iterator[Callable[[str, int, int], None]]:
    """One bar after the other, as the stage that is reported changes."""
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
