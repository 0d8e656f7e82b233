"""Long work: what is asked for, how far it is, and how it ended."""

from __future__ import annotations

import datetime
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from featmatch.adding.one_image import Failure
from featmatch.service.problems import Problem

Kind = Literal["add", "groups", "compact", "check"]
State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
KINDS: tuple[Kind, ...] = ("add", "groups", "compact", "check")
ENDED: tuple[State, ...] = ("done", "failed", "cancelled", "interrupted")

_MOST_KEPT = 200
MOST_SHOWN = 100  # failures in the object of a job


class StopJob(Exception):  # noqa: N818  # no error
    """Raised within a job that is to end."""


class Job:
    """One piece of long work. Safe to share between threads.

    Attributes:
        id: as its address has it.
        kind: what is done.
        asked: the options, as they were asked for.
    """

    def __init__(self, number: int, kind: Kind, asked: Mapping[str, Any]) -> None:
        self.id = f"j_{number}"
        self.kind = kind
        self.asked = dict(asked)
        self._lock = threading.Lock()
        self._state: State = "queued"
        self._created = now()
        self._started: str | None = None
        self._ended: str | None = None
        self._began = 0.0
        self._counts = {"done": 0, "total": 0, "added": 0, "skipped": 0, "failed": 0}
        self._failures: list[Failure] = []
        self._error: str | None = None
        self._stop: State | None = None
        self._changes = 0

    @property
    def state(self) -> State:
        """How far it is."""
        return self._state

    @property
    def changes(self) -> int:
        """How often it has changed: the number of its newest event."""
        return self._changes

    @property
    def failures(self) -> Sequence[Failure]:
        """What could not be done."""
        return self._failures

    def to_dict(self) -> dict[str, Any]:
        """The object of the interface."""
        with self._lock:
            done, total = self._counts["done"], self._counts["total"]
            seconds = time.monotonic() - self._began
            rate = done / seconds if self._state == "running" and seconds > 0 and done else None
            return {
                "id": self.id, "kind": self.kind, "state": self._state, "created": self._created,
                "started": self._started, "ended": self._ended,
                "progress": {
                    **self._counts,
                    "per_second": rate and round(rate, 2),
                    "seconds_left": rate and round((total - done) / rate),
                },
                "failures": [failure_object(one) for one in self._failures[:MOST_SHOWN]],
                "error": self._error,
            }  # fmt: skip

    def progress(self, done: int, total: int) -> None:
        """Note how far it is.

        Raises:
            StopJob: it is to end.
        """
        with self._lock:
            self._counts |= {"done": done, "total": total}
            self._changes += 1
            if self._stop is not None:
                raise StopJob

    def counted(self, added: int, skipped: int, failures: Sequence[Failure]) -> None:
        """Note what became of the images."""
        with self._lock:
            self._counts |= {"added": added, "skipped": skipped, "failed": len(failures)}
            self._failures = list(failures)
            self._changes += 1

    def stop(self, state: Literal["cancelled", "interrupted"]) -> None:
        """Have it end: at once, if it waits, else at its next commit."""
        with self._lock:
            if self._state == "queued":
                self._end(state)
            elif self._state == "running" and self._stop is None:
                self._stop = state

    def run(self, work: Callable[[Job], None]) -> None:
        """Do the work, in the thread that writes, unless it was cancelled."""
        with self._lock:
            if self._state != "queued":
                return
            self._state, self._started, self._began = "running", now(), time.monotonic()
            self._changes += 1
        state: State = "done"
        try:
            work(self)
        except StopJob:
            state = self._stop or "cancelled"
        except Exception as error:
            state, self._error = "failed", str(error) or type(error).__name__
        with self._lock:
            self._end(state)

    def _end(self, state: State) -> None:
        self._state, self._ended = state, now()
        self._changes += 1


class Jobs:
    """The newest jobs. Safe to share between threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._last = 0

    def new(self, kind: Kind, asked: Mapping[str, Any]) -> Job:
        """A job that waits."""
        with self._lock:
            self._last += 1
            job = Job(self._last, kind, asked)
            self._kept[job.id] = job
            for old in [one for one in self._kept.values() if one.state in ENDED][
                : max(len(self._kept) - _MOST_KEPT, 0)
            ]:
                del self._kept[old.id]
            return job

    def get(self, number: str) -> Job:
        """The job of an id.

        Raises:
            Problem: there is none.
        """
        with self._lock:
            if number not in self._kept:
                raise Problem("no_such_job")
            return self._kept[number]

    def all(self) -> list[Job]:
        """All that are kept, the newest first."""
        with self._lock:
            return list(reversed(self._kept.values()))

    def stop(self) -> None:
        """Have all end, since the service does."""
        for job in self.all():
            job.stop("interrupted")


def failure_object(failure: Failure) -> dict[str, Any]:
    """What is told of an image that failed."""
    return {"name": failure.name, "status": failure.status, "detail": failure.message}


def now() -> str:
    """The time, ISO 8601."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
