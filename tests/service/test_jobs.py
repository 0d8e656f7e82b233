"""What a job tells of itself."""

from __future__ import annotations

import pytest

from featmatch import Failure
from featmatch.service import jobs
from featmatch.service.jobs import Job, Jobs, StopJob
from featmatch.service.problems import Problem


def test_a_job_tells_how_far_it_is() -> None:
    job = Job(3, "add", {"paths": ["a"]})
    told = job.to_dict()
    assert (told["id"], told["kind"], told["state"], told["started"], told["ended"]) == (
        "j_3",
        "add",
        "queued",
        None,
        None,
    )
    seen: list[dict[str, object]] = []

    def work(own: Job) -> None:
        own.progress(1, 4)
        seen.append(own.to_dict())
        own.counted(2, 1, [Failure("x", "too_large", "so many pixels")])

    job.run(work)
    (running,) = seen
    assert running["state"] == "running"
    assert running["progress"]["per_second"] > 0  # type: ignore[index]
    assert running["progress"]["seconds_left"] >= 0  # type: ignore[index]
    told = job.to_dict()
    assert (told["state"], told["error"]) == ("done", None)
    assert told["failures"] == [{"name": "x", "status": "too_large", "detail": "so many pixels"}]
    assert told["progress"] == {
        "done": 1, "total": 4, "added": 2, "skipped": 1, "failed": 1, "per_second": None, "seconds_left": None,
    }  # fmt: skip
    assert told["created"] <= told["started"] <= told["ended"]


def test_each_change_has_a_number() -> None:
    job = Job(1, "check", {})
    numbers = [job.changes]
    job.run(lambda own: own.progress(1, 2))
    numbers.append(job.changes)
    assert numbers == [0, 3]


@pytest.mark.parametrize("state", ["cancelled", "interrupted"])
def test_a_job_under_way_ends_at_its_next_step(state: str) -> None:
    def work(own: Job) -> None:
        own.stop(state)  # type: ignore[arg-type]
        own.progress(1, 2)

    job = Job(1, "add", {})
    job.run(work)
    assert (job.state, job.to_dict()["progress"]["done"]) == (state, 1)


def test_a_job_that_waits_ends_at_once_and_is_never_done() -> None:
    job = Job(1, "add", {})
    job.stop("cancelled")
    job.run(lambda own: pytest.fail("it is done"))
    assert job.state == "cancelled"
    job.stop("interrupted")
    assert job.state == "cancelled"


def test_what_goes_wrong_is_told() -> None:
    def work(own: Job) -> None:
        raise OSError("the disk is full")

    job = Job(1, "add", {})
    job.run(work)
    assert (job.state, job.to_dict()["error"]) == ("failed", "the disk is full")


def test_the_newest_jobs_are_kept_and_those_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_MOST_KEPT", 3)
    kept = Jobs()
    waits = kept.new("add", {})
    for _ in range(5):
        kept.new("check", {}).run(lambda own: None)
    assert [job.id for job in kept.all()][-1] == waits.id
    assert len(kept.all()) <= 4
    assert kept.get(waits.id) is waits
    assert kept.get("j_6").state == "done"
    with pytest.raises(Problem, match="no_such_job"):
        kept.get("j_2")
    kept.stop()
    assert waits.state == "interrupted"


def test_to_stop_is_no_error() -> None:
    assert not issubclass(StopJob, OSError)
