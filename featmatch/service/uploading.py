"""Images that are added over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from starlette.datastructures import UploadFile
from starlette.responses import Response

from featmatch.adding.batches import AddReport
from featmatch.adding.given_images import GivenImage, checked_name
from featmatch.service.calls import Call, Endpoint, json_answer
from featmatch.service.mounted import Mounted
from featmatch.service.parameters import MOST_BODY, Parameters, parsed_object
from featmatch.service.pictures_given import content_of, decoded, fetched
from featmatch.service.problems import Problem
from featmatch.service.writer import Writer
from featmatch.system.files import open_file

MOST_IMAGES = 64  # of one request


@dataclass(frozen=True)
class Upload:
    """An image of a request, as bytes."""

    name: str
    content: bytes
    text: str | None


async def add(call: Call) -> Response:
    """POST /v1/images."""
    _must_take_uploads(call.mounted)
    if call.content_type == "multipart/form-data":
        given, conflict = await _of_form(call)
    elif call.content_type == "application/json":
        given, conflict = await _of_json(call)
    else:
        raise Problem("unsupported_content_type", "multipart/form-data or JSON is taken")
    if not 1 <= len(given) <= MOST_IMAGES:
        raise Problem("bad_request", f"1 to {MOST_IMAGES} images are added at a time, not {len(given)}")

    coming = uploaded(call.mounted, given, conflict)
    if "respond-async" in call.request.headers.get("prefer", "").lower():
        owner, asked = None if call.key is None else call.key.name, {"names": [one.name for one in given]}
        job = await anyio.to_thread.run_sync(call.mounted.jobs.new, "add", asked, owner)
        coming.add_done_callback(lambda done: job.run(lambda own: own.tell_of(done.result())))
        headers = {"Location": f"{call.mounted.base}/v1/jobs/{job.id}", "Preference-Applied": "respond-async"}
        return json_answer(job.to_dict(), 202, headers)
    report = await asyncio.wrap_future(coming)
    told = await anyio.to_thread.run_sync(_report_object, call.mounted, report)
    return json_answer(told, 201 if report.added else 200)


def uploaded(mounted: Mounted, given: Sequence[Upload], conflict: str) -> Future[AddReport]:
    """Have images added; the future is done when they are committed.

    Args:
        mounted: the index.
        given: the images.
        conflict: "skip", "replace" or "fail".

    Raises:
        Problem: nothing is written, or no uploads are taken.
        UsageError: a name is none.
    """
    on_conflict: Any = "replace" if conflict == "replace" else "skip"
    images = [GivenImage(checked_name(one.name), one.content, one.text, on_conflict) for one in given]
    return _must_take_uploads(mounted).upload(images, refuse_taken=conflict == "fail")


def _must_take_uploads(mounted: Mounted) -> Writer:
    writer = mounted.must_write()
    if mounted.uploads is None:
        raise Problem("uploads_off")
    return writer


def _report_object(mounted: Mounted, report: AddReport) -> dict[str, Any]:
    """The report of an addition, with the numbers of what was added."""

    def numbered(names: Sequence[str]) -> list[dict[str, Any]]:
        catalog = mounted.snapshot().catalog
        contents = {name: catalog.content_named(name) for name in names}
        return [{"id": catalog.image_with(contents[name] or ""), "name": name} for name in names]

    return {
        "added": numbered(report.added),
        "skipped": numbered(report.skipped),
        "failed": [{"name": one.name, "status": one.status, "detail": one.message} for one in report.failed],
        "damaged": list(report.damaged),
    }


async def _of_form(call: Call) -> tuple[list[Upload], str]:
    """The images of a form: files ``image``, a ``name`` for each or for none."""
    form = await call.form(MOST_IMAGES + len(("text", "on_conflict")))
    files = [(part, value) for part, value in form.multi_items() if isinstance(value, UploadFile)]
    if any(part != "image" for part, _ in files):
        raise Problem("unknown_field", "the files of a form are called image")
    names = [value for part, value in form.multi_items() if part == "name" and isinstance(value, str)]
    if names and len(names) != len(files):
        raise Problem("bad_request", f"there are {len(files)} images and {len(names)} names")
    rest = [(part, value) for part, value in form.multi_items() if isinstance(value, str) and part != "name"]
    options = Parameters.of_pairs(rest)
    text, conflict = options.remark(), _conflict_of(options)
    options.end()
    given = []
    for place, (_, file) in enumerate(files):
        name = names[place] if names else file.filename or ""
        given.append(Upload(checked_name(name), await content_of(call, file), text))
    return given, conflict


async def _of_json(call: Call) -> tuple[list[Upload], str]:
    options = Parameters(parsed_object(await call.body()))
    listed, conflict = options.listed("images") or [], _conflict_of(options)
    options.end()
    return [await _of_object(call, one) for one in listed[: MOST_IMAGES + 1]], conflict


async def _of_object(call: Call, value: Any) -> Upload:
    if not isinstance(value, dict):
        raise Problem("bad_request", "each of images is a JSON object")
    members = Parameters(value)
    sources = [kind for kind in ("url", "base64", "path") if kind in members]
    if len(sources) != 1:
        raise Problem("bad_request", "each of images has one of url, base64 and path")
    source, name, text = members.text(sources[0], MOST_BODY) or "", members.text("name"), members.remark()
    members.end()
    if sources[0] == "url":
        content = await fetched(call, source)
    elif sources[0] == "base64":
        content = await anyio.to_thread.run_sync(decoded, source)
    else:
        content = await anyio.to_thread.run_sync(_read, call.mounted, source)
    if len(content) > call.mounted.options.max_upload:
        raise Problem("body_too_large", f"an image has {call.mounted.options.max_upload} bytes at most")
    return Upload(checked_name(name if name is not None else source if sources[0] != "base64" else ""), content, text)


def _read(mounted: Mounted, path: str) -> bytes:
    """A file below the folders that may be read."""
    try:
        with open_file(mounted.allowed_path(path)) as file:
            return file.read(mounted.options.max_upload + 1)
    except OSError as error:
        raise Problem("file_gone", error.strerror or "") from error


def _conflict_of(options: Parameters) -> str:
    return str(options.choice("on_conflict", "skip", ("skip", "replace", "fail")))


ENDPOINTS = (
    Endpoint(
        "POST", "/v1/images", add, "Add images", "write", "batch",
        answers={201: "What became of each", 200: "Nothing of it was new", 202: "A job that does it"},
        codes=("read_only", "uploads_off", "name_taken", "writer_busy", "bad_request", "unsupported_content_type",
               "body_too_large", "fetch_off", "fetch_refused", "fetch_failed", "path_not_allowed", "disk_full"),
        takes="NewImages", gives="Added",
    ),
)  # fmt: skip
