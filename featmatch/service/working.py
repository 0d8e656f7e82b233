"""The addresses of jobs: asked for, looked at, followed and cancelled."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio.to_thread
from starlette.responses import Response, StreamingResponse

from featmatch.adding.batches import AddReport
from featmatch.errors import FeatmatchError
from featmatch.names import with_quoted
from featmatch.service.calls import Call, Endpoint, Parameter, json_answer
from featmatch.service.jobs import ENDED, KINDS, Job, failure_object, now
from featmatch.service.made_groups import MadeGroups
from featmatch.service.mounted import Mounted
from featmatch.service.parameters import Parameters, parsed_object
from featmatch.service.problems import Problem
from featmatch.store.checking import check
from featmatch.system.workers import in_background

_MOST_PATHS = 1000
_POLL_SECONDS = 0.25  # at most four events a second
_SILENT_SECONDS = 15.0  # after which a comment shows that the connection is alive


async def start(call: Call) -> Response:
    """POST /v1/jobs."""
    mounted = call.mounted
    writer = mounted.must_work()
    options = Parameters(parsed_object(await call.body()))
    kind = options.choice("kind", None, KINDS)
    if kind is None:
        raise Problem("bad_request", f"kind is one of {', '.join(KINDS)}")
    work, asked = _work_of(mounted, kind, options)
    options.end()
    owner = None if call.key is None else call.key.name
    job = await anyio.to_thread.run_sync(mounted.jobs.new, kind, asked, owner)
    writer.submit(lambda: job.run(work))
    return json_answer(job.to_dict(), 202, {"Location": f"{mounted.base}/v1/jobs/{job.id}"})


def _work_of(mounted: Mounted, kind: str, options: Parameters) -> tuple[Callable[[Job], None], dict[str, Any]]:
    """What a job does, and how it was asked for."""
    if kind == "groups":
        return lambda job: make_groups(mounted, job), {}
    if kind == "check":
        return lambda job: _check(mounted), {}
    index = mounted.own_index()
    if kind == "add":
        paths = [mounted.allowed_path(path) for path in _paths_of(options)]
        asked: dict[str, Any] = {
            "prune": options.flag("prune"), "pages": options.flag("pages"), "text": options.remark()
        }  # fmt: skip
        return lambda job: _add(mounted, paths, asked, job), {"paths": paths, **asked}
    return lambda job: index.compact(), {}


def _paths_of(options: Parameters) -> list[str]:
    paths = options.listed("paths") or []
    if not 1 <= len(paths) <= _MOST_PATHS or not all(isinstance(path, str) for path in paths):
        raise Problem("invalid_value", f"paths are 1 to {_MOST_PATHS} paths")
    return paths


def _add(mounted: Mounted, paths: list[str], asked: dict[str, Any], job: Job) -> None:
    mounted.check_links(paths)
    report = AddReport()
    job.tell_of(report)
    with in_background():
        mounted.own_index().add(paths, progress=job.progress, report=report, **asked)


def _check(mounted: Mounted) -> None:
    problems = [problem for _, folder in mounted.index.folders for problem in check(folder).problems]
    if problems:
        raise FeatmatchError("; ".join(problems[:10]))


def make_groups(mounted: Mounted, job: Job) -> None:
    """Find the groups of copies, and keep them for those who ask."""
    from featmatch.grouping.finding import find_groups  # SciPy takes longer to import than a server to start

    snapshot = mounted.snapshot()
    with in_background():
        groups = find_groups(mounted.index, jobs=-1, progress=job.progress)
    catalog = snapshot.catalog
    mounted.groups = MadeGroups(groups, now(), mounted.generation(snapshot), catalog.totals().names, catalog.newest())


async def list_all(call: Call) -> Response:
    """GET /v1/jobs."""
    return json_answer({"jobs": [job.to_dict() for job in call.mounted.jobs.all()]})


async def get_one(call: Call) -> Response:
    """GET /v1/jobs/{id}."""
    return json_answer(_job(call).to_dict())


async def failures(call: Call) -> Response:
    """GET /v1/jobs/{id}/failures."""
    options = call.query
    after, limit = options.whole("after", 0, 0, 1 << 62), options.whole("limit", 100, 1, 1000)
    options.end()
    all_of_them = _job(call).failures
    page = [failure_object(one) for one in all_of_them[after : after + limit]]
    following = after + len(page)
    return json_answer({"failures": page, "next": following if following < len(all_of_them) else None})


async def cancel(call: Call) -> Response:
    """DELETE /v1/jobs/{id}."""
    job = _job(call)
    job.stop("cancelled")
    return json_answer(job.to_dict(), 202)


async def events(call: Call) -> Response:
    """GET /v1/jobs/{id}/events."""
    last = call.request.headers.get("last-event-id", "")
    seen = int(last) if last.isascii() and last.isdigit() and len(last) <= 18 else -1
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(_job(call), seen), media_type="text/event-stream", headers=headers)


async def _events(job: Job, seen: int) -> AsyncIterator[str]:
    """An event for each change that there was time to tell of; the last one says how the job ended."""
    told = time.monotonic()
    while True:
        changes = job.changes
        told_of = job.to_dict()
        ended = told_of["state"] in ENDED
        if changes != seen or ended:
            kind = ("done" if told_of["state"] == "done" else "failed") if ended else "progress"
            yield f"id: {changes}\nevent: {kind}\ndata: {json.dumps(with_quoted(told_of))}\n\n"
            seen, told = changes, time.monotonic()
        elif time.monotonic() - told > _SILENT_SECONDS:
            yield ": alive\n\n"
            told = time.monotonic()
        if ended:
            return
        await asyncio.sleep(_POLL_SECONDS)


def _job(call: Call) -> Job:
    """The job that is meant: whoever may not see all sees those of its own key."""
    job = call.mounted.jobs.get(call.request.path_params["id"])
    if call.key is not None and not call.key.allows("admin") and job.owner != call.key.name:
        raise Problem("scope_missing", "this needs the scope admin")
    return job


_PAGE = (
    Parameter("after", {"type": "integer", "minimum": 0}, "what a page gave as next"),
    Parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
)
ENDPOINTS = (
    Endpoint(
        "POST", "/v1/jobs", start, "Have long work done", "admin", "object", answers={202: "It waits for its turn"},
        codes=("read_only", "path_not_allowed", "bad_request"), takes="NewJob", gives="Job"),
    Endpoint("GET", "/v1/jobs", list_all, "The newest jobs", "admin", gives="Jobs"),
    Endpoint("GET", "/v1/jobs/{id}", get_one, "One job", "write", codes=("no_such_job",), gives="Job"),
    Endpoint(
        "GET", "/v1/jobs/{id}/failures", failures, "What a job could not do", "write", parameters=_PAGE,
        codes=("no_such_job",), gives="Failures"),
    Endpoint(
        "DELETE", "/v1/jobs/{id}", cancel, "Have a job end; what it did stays", "write", answers={202: "It will end"},
        codes=("no_such_job",), gives="Job"),
    Endpoint(
        "GET", "/v1/jobs/{id}/events", events, "How far a job is, as it goes on", "write",
        answers={200: "Server-sent events"}, codes=("no_such_job",),
    ),
)  # fmt: skip
