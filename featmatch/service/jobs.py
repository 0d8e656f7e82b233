"""Long work: what is asked for, how far it is, and how it ended."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from featmatch.adding.batches import AddReport
from featmatch.adding.one_image import Failure
from featmatch.service.job_files import JobFiles
from featmatch.service.problems import Problem
from featmatch.system.progress import ignore

Kind = Literal["add", "groups", "compact", "check"]
State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
KINDS: tuple[Kind, ...] = ("add", "groups", "compact", "check")
ENDED: tuple[State, ...] = ("done", "failed", "cancelled", "interrupted")

_MOST_KEPT = 200
MOST_SHOWN = 100  # failures in the object of a job
_MOST_KEPT_FAILURES = 10_000  # of one job, on the disk


class StopJob(Exception):  # noqa: N818  # no error
    """Raised within a job that is to end."""


class Job:
    """One piece of long work. Safe to share between threads.

    Attributes:
        number: counts the jobs of an index.
        kind: what is done.
        asked: the options, as they were asked for.
        owner: the name of the key that asked; None: there are no keys.
    """

    def __init__(
        self,
        number: int,
        kind: Kind,
        asked: Mapping[str, Any],
        owner: str | None = None,
        keep: Callable[[Job], None] = ignore,
    ) -> None:
        """A job that waits.

        Args:
            number: of its own.
            kind: what is to be done.
            asked: the options.
            owner: the name of the key that asks.
            keep: called when the state has changed, but for the first.
        """
        self.number = number
        self.kind = kind
        self.asked = dict(asked)
        self.owner = owner
        self._keep = keep
        self._lock = threading.Lock()
        self._state: State = "queued"
        self._created = now()
        self._started: str | None = None
        self._ended: str | None = None
        self._began = 0.0
        self._done, self._total = 0, 0
        self._report = AddReport()
        self._told: dict[str, int] | None = None  # the counts of a job of a server that has ended
        self._error: str | None = None
        self._stop: State | None = None
        self._changes = 0

    @property
    def id(self) -> str:
        """As its address has it."""
        return f"j_{self.number}"

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
        return self._report.failed

    def to_dict(self) -> dict[str, Any]:
        """The object of the interface."""
        with self._lock:
            counts = self._counts()
            seconds = time.monotonic() - self._began
            rate = self._done / seconds if self._state == "running" and seconds > 0 and self._done else None
            return {
                "id": self.id, "kind": self.kind, "state": self._state, "created": self._created,
                "started": self._started, "ended": self._ended,
                "progress": {
                    **counts,
                    "per_second": rate and round(rate, 2),
                    "seconds_left": rate and round((self._total - self._done) / rate),
                },
                "failures": [failure_object(one) for one in self.failures[:MOST_SHOWN]],
                "error": self._error,
            }  # fmt: skip

    def progress(self, done: int, total: int) -> None:
        """Note how far it is.

        Raises:
            StopJob: it is to end.
        """
        with self._lock:
            self._done, self._total = done, total
            self._changes += 1
            if self._stop is not None:
                raise StopJob

    def tell_of(self, report: AddReport) -> None:
        """Tell from now on what a report says of images, which may still grow."""
        with self._lock:
            self._report = report
            self._changes += 1

    def stop(self, state: Literal["cancelled", "interrupted"]) -> None:
        """Have it end: at once, if it waits, else at its next commit."""
        with self._lock:
            ended = self._state == "queued"
            if ended:
                self._end(state)
            elif self._state == "running" and self._stop is None:
                self._stop = state
        if ended:
            self._keep(self)

    def run(self, work: Callable[[Job], None]) -> None:
        """Do the work, in the thread that writes, unless it was cancelled."""
        with self._lock:
            if self._state != "queued":
                return
            self._state, self._started, self._began = "running", now(), time.monotonic()
            self._changes += 1
        self._keep(self)
        state: State = "done"
        try:
            work(self)
        except StopJob:
            state = self._stop or "cancelled"
        except Problem as problem:
            state, self._error = "failed", problem.detail or problem.title
        except Exception as error:
            state, self._error = "failed", str(error) or type(error).__name__
        with self._lock:
            self._end(state)
        self._keep(self)

    def to_record(self) -> dict[str, Any]:
        """What is kept of it on disk."""
        failures = [failure_object(one) for one in list(self.failures)[:_MOST_KEPT_FAILURES]]
        return {**self.to_dict(), "asked": self.asked, "owner": self.owner, "failures": failures}

    @classmethod
    def of_record(cls, number: int, record: Mapping[str, Any]) -> Job:
        """A job of a server that has ended; where it was under way, it was interrupted.

        Raises:
            KeyError: it is no such record.
            TypeError: likewise.
        """
        job = cls(number, record["kind"], record["asked"], record["owner"])
        job._created, job._started, job._ended = (record[name] for name in ("created", "started", "ended"))
        job._state, job._error, counts = record["state"], record["error"], record["progress"]
        job._told = {name: int(counts[name]) for name in ("done", "total", "added", "skipped", "failed")}
        job._report.failed.extend(Failure(one["name"], one["status"], one["detail"]) for one in record["failures"])
        if job._state not in ENDED:
            job._state, job._ended = "interrupted", now()
        return job

    def _counts(self) -> dict[str, int]:
        """Images: what was known before the work began is done, too."""
        if self._told is not None:
            return self._told
        added, skipped, failed = (len(some) for some in (self._report.added, self._report.skipped, self._report.failed))
        known = max(added + skipped + failed - self._done, 0)
        return {
            "done": self._done + known, "total": self._total + known,
            "added": added, "skipped": skipped, "failed": failed,
        }  # fmt: skip

    def _end(self, state: State) -> None:
        self._state, self._ended = state, now()
        self._changes += 1


class Jobs:
    """The newest jobs. Safe to share between threads."""

    def __init__(self, files: JobFiles | None = None) -> None:
        """Take those of the last server.

        Args:
            files: where they are kept; None: in memory only.
        """
        self._files = files
        self._kept: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._last = 0
        for number, record in files.all() if files is not None else ():
            self._last = number
            with contextlib.suppress(KeyError, TypeError, ValueError):
                job = Job.of_record(number, record)
                self._kept[job.id] = job
                self._keep(job)

    def new(self, kind: Kind, asked: Mapping[str, Any], owner: str | None = None) -> Job:
        """A job that waits; it is on the disk, if jobs are kept there."""
        with self._lock:
            self._last += 1
            job = Job(self._last, kind, asked, owner, self._keep)
            self._kept[job.id] = job
            over = [one for one in self._kept.values() if one.state in ENDED][: max(len(self._kept) - _MOST_KEPT, 0)]
            for old in over:
                del self._kept[old.id]
                if self._files is not None:
                    self._files.drop(old.number)
            self._keep(job)
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

    def close(self) -> None:
        """Keep none on the disk any more: another server may have them."""
        if self._files is not None:
            self._files.close()

    def _keep(self, job: Job) -> None:
        if self._files is not None:
            self._files.keep(job.number, job.to_record())


def failure_object(failure: Failure) -> dict[str, Any]:
    """What is told of an image that failed."""
    return {"name": failure.name, "status": failure.status, "detail": failure.message}


def now() -> str:
    """The time, ISO 8601."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
