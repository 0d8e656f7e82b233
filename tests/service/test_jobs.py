"""What a job tells of itself."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import ANY

import pytest

from featmatch import AddReport, Failure
from featmatch.service import jobs
from featmatch.service.job_files import JobFiles
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
    report = AddReport()

    def work(own: Job) -> None:
        own.tell_of(report)
        own.progress(1, 4)
        seen.append(own.to_dict())
        report.skipped.append("known")
        report.added.append("a")
        seen.append(own.to_dict())
        own.progress(2, 4)
        report.failed.append(Failure("x", "too_large", "so many pixels"))

    job.run(work)
    running, counted = seen
    assert counted["progress"] == {
        **running["progress"], "done": 2, "total": 5, "added": 1, "skipped": 1,  # type: ignore[dict-item]
        "per_second": ANY, "seconds_left": ANY,
    }  # fmt: skip
    assert running["state"] == "running"
    assert running["progress"]["per_second"] > 0  # type: ignore[index]
    assert running["progress"]["seconds_left"] >= 0  # type: ignore[index]
    told = job.to_dict()
    assert (told["state"], told["error"]) == ("done", None)
    assert told["failures"] == [{"name": "x", "status": "too_large", "detail": "so many pixels"}]
    assert told["progress"] == {
        "done": 3, "total": 5, "added": 1, "skipped": 1, "failed": 1, "per_second": None, "seconds_left": None,
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


def test_what_a_server_was_at_was_interrupted_for_the_next(tmp_path: Path) -> None:
    files = JobFiles(tmp_path / "jobs")
    first = Jobs(files)
    done, cancelled, under_way = (first.new(kind, {"a": 1}, "anna") for kind in ("add", "check", "groups"))

    def work(own: Job) -> None:
        own.tell_of(AddReport(added=["a"], failed=[Failure("x", "too_large", "so many pixels")]))

    done.run(work)
    cancelled.stop("cancelled")
    told = done.to_dict()
    under_way.run(lambda own: files.close())  # as if it were killed: the end is not kept
    files = JobFiles(tmp_path / "jobs")
    second = Jobs(files)
    assert [(job.id, job.state, job.owner) for job in second.all()] == [
        ("j_3", "interrupted", "anna"), ("j_2", "cancelled", "anna"), ("j_1", "done", "anna"),
    ]  # fmt: skip
    assert second.get("j_1").to_dict() == told
    assert second.get("j_3").to_dict()["ended"] is not None
    assert second.new("compact", {}).id == "j_4"
    assert [job.id for job in Jobs(JobFiles(tmp_path / "jobs")).all()] == []  # another server has the folder
    files.close()


def test_files_that_are_damaged_are_passed_over_and_old_ones_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_MOST_KEPT", 1)
    files = JobFiles(tmp_path)
    kept = Jobs(files)
    for _ in range(3):
        kept.new("check", {}).run(lambda own: None)
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["3.json"]
    for name, content in (("2.json", "{"), ("4.json", "[]"), ("5.json", '{"kind": 1}'), ("x.json", "{}")):
        (tmp_path / name).write_text(content)
    files.close()
    files = JobFiles(tmp_path)
    later = Jobs(files)
    assert [job.id for job in later.all()] == ["j_3"]
    assert later.new("check", {}).id == "j_6"
    files.close()


def test_where_nothing_can_be_written_jobs_are_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Jobs(JobFiles(tmp_path / "file" / "jobs"))
    assert kept.new("check", {}).id == "j_1"
    assert len(kept.all()) == 1
    kept.close()
