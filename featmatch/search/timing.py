"""How long the stages of a query take."""

from __future__ import annotations

import time


class StageClock:
    """Milliseconds of each stage, by its name: a stage begins where the one before ended, and may come again."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self._began = time.perf_counter()

    def ended(self, stage: str) -> None:
        """Say that a stage is over."""
        now = time.perf_counter()
        self.times[stage] = self.times.get(stage, 0.0) + 1000 * (now - self._began)
        self._began = now
