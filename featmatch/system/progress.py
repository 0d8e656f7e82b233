"""How work tells its caller how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  # items done, items in all
StageProgress = Callable[[str, int, int], None]  # name of the stage, items of it done, items of it in all


def of_stage(progress: StageProgress, stage: str) -> Progress:
    """The progress of one stage, for work that consists of that stage only.

    >>> of_stage(print, "indexing")(3, 10)
    indexing 3 10
    """
    return lambda done, total: progress(stage, done, total)


def ignore(*_: object) -> None:
    """Stands in for a caller's progress where none was given."""
