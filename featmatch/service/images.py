"""The images of the index: listed, added, changed and removed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from starlette.datastructures import UploadFile
from starlette.responses import Response

from featmatch.adding.batches import AddReport
from featmatch.adding.given_images import GivenImage, checked_name
from featmatch.service.calls import Call, Endpoint, Parameter, json_answer
from featmatch.service.jobs import Job
from featmatch.service.mounted import Mounted
from featmatch.service.parameters import Parameters, parsed_object
from featmatch.service.pictures_given import content_of, decoded, fetched
from featmatch.service.problems import Problem
from featmatch.service.writer import Writer
from featmatch.store.browsing import ListedImage, count_images, list_images
from featmatch.store.removal import remove_images
from featmatch.store.renaming import describe_image, rename_image
from featmatch.store.writing import become_writer
from featmatch.system.files import open_file

MOST_IMAGES = 64  # of one request
_MOST_LISTED = 1000
_MOST_REMOVED = 10_000
_MOST_TEXT = 10_000  # characters


def image_object(mounted: Mounted, image: ListedImage) -> dict[str, Any]:
    """What is told of an image: the object of ``list --json``, all its names, and links."""
    return {**vars(image.record), "names": list(image.names), "links": mounted.links_of(image.record.id)}


async def list_all(call: Call) -> Response:
    """GET /v1/images."""
    options = call.query
    name, match, form = options.text("name"), options.text("match"), options.text("format")
    after, limit = options.whole("after", 0, 0, 1 << 62), options.whole("limit", 100, 1, _MOST_LISTED)
    options.end()
    mounted = call.mounted

    def listed() -> dict[str, Any]:
        catalog = mounted.snapshot().catalog
        if name is not None:
            try:
                found = [mounted.image_named(name)]
            except Problem:
                found = []
            return {"images": [image_object(mounted, one) for one in found], "next": None, "total": len(found)}
        page = list_images(catalog, after=after, limit=limit + 1, match=match, form=form)
        return {
            "images": [image_object(mounted, one) for one in page[:limit]],
            "next": page[limit - 1].record.id if len(page) > limit else None,
            "total": count_images(catalog, match=match, form=form),
        }

    return json_answer(await anyio.to_thread.run_sync(listed))


async def get_one(call: Call) -> Response:
    """GET /v1/images/{id}."""
    call.query.end()
    image = await anyio.to_thread.run_sync(call.mounted.image, call.number())
    tag = f'"{image.record.sha256}"'
    if call.request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return json_answer(image_object(call.mounted, image), headers={"ETag": tag})


@dataclass(frozen=True)
class Upload:
    """An image of a request, as bytes."""

    name: str
    content: bytes
    text: str | None


async def add(call: Call) -> Response:
    """POST /v1/images."""
    _must_take_uploads(call.mounted)
    call.query.end()
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
        job = call.mounted.jobs.new("add", {"names": [one.name for one in given]})
        coming.add_done_callback(lambda done: job.run(lambda own: _note(own, done.result())))
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


def _note(job: Job, report: AddReport) -> None:
    done = len(report.added) + len(report.skipped) + len(report.failed)
    job.progress(done, done)
    job.counted(len(report.added), len(report.skipped), report.failed)


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
    form = await call.form()
    files = [(part, value) for part, value in form.multi_items() if isinstance(value, UploadFile)]
    if any(part != "image" for part, _ in files):
        raise Problem("unknown_field", "the files of a form are called image")
    names = [value for part, value in form.multi_items() if part == "name" and isinstance(value, str)]
    if names and len(names) != len(files):
        raise Problem("bad_request", f"there are {len(files)} images and {len(names)} names")
    rest = [(part, value) for part, value in form.multi_items() if isinstance(value, str) and part != "name"]
    options = Parameters.of_pairs(rest)
    text, conflict = _text_of(options), _conflict_of(options)
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
    source, name, text = members.text(sources[0]) or "", members.text("name"), _text_of(members)
    members.end()
    if sources[0] == "url":
        content = await fetched(call, source)
    elif sources[0] == "base64":
        content = decoded(source)
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


def _text_of(options: Parameters) -> str | None:
    text = options.text("text")
    if text is not None and len(text) > _MOST_TEXT:
        raise Problem("invalid_value", f"text has {_MOST_TEXT} characters at most")
    return text


async def change(call: Call) -> Response:
    """PATCH /v1/images/{id}."""
    call.query.end()
    mounted, number = call.mounted, call.number()
    writer = mounted.must_write()
    options = Parameters(parsed_object(await call.body()))
    renaming, text = options.take("rename"), _text_of(options)
    options.end()
    if (renaming is None) == (text is None):
        raise Problem("bad_request", "either text or rename is wanted")
    wanted = call.request.headers.get("if-match")

    def write() -> ListedImage:
        with become_writer(mounted.index):
            image = mounted.image(number)
            if wanted not in (None, "*", f'"{image.record.sha256}"'):
                raise Problem("precondition_failed")
            if text is not None:
                describe_image(mounted.index, image, text)
            else:
                _rename(mounted, image, renaming)
        return mounted.image(number)

    return json_answer(image_object(mounted, await asyncio.wrap_future(writer.submit(write))))


def _rename(mounted: Mounted, image: ListedImage, renaming: Any) -> None:
    if not isinstance(renaming, dict) or len(renaming) != 1:
        raise Problem("invalid_value", 'rename is {"old name": "new name"}')
    ((old, new),) = renaming.items()
    if old not in image.names:
        raise Problem("no_such_image", "the image has no such name")
    if mounted.index.snapshot.catalog.content_named(checked_name(new)) is not None:
        raise Problem("name_taken")
    rename_image(mounted.index, old, new)


async def remove_one(call: Call) -> Response:
    """DELETE /v1/images/{id}."""
    options = call.query
    upload = options.flag("upload")
    options.end()
    number = call.number()
    await remove_from(call.mounted, lambda: call.mounted.image(number), upload=upload)
    return Response(status_code=204)


async def remove_named(call: Call) -> Response:
    """DELETE /v1/images?name=NAME: the name; the image with it, if it has no other."""
    options = call.query
    name, upload = options.text("name"), options.flag("upload")
    options.end()
    if name is None:
        raise Problem("bad_request", "a name is wanted")
    await remove_from(call.mounted, lambda: call.mounted.image_named(name), [name], upload=upload)
    return Response(status_code=204)


async def remove_from(
    mounted: Mounted, find: Callable[[], ListedImage], names: Sequence[str] | None = None, *, upload: bool
) -> None:
    """Remove names of an image from the index.

    Args:
        mounted: the index.
        find: finds the image, once nobody else writes.
        names: of it; None: all.
        upload: delete its uploaded file, too, if it has no name left.
    """

    def write() -> None:
        with become_writer(mounted.index):
            image = find()
            remove_images(mounted.index, names or image.names)
        gone = mounted.snapshot().catalog.image_with(image.record.sha256) is None
        if upload and gone and mounted.uploads is not None:
            mounted.uploads.remove(image.record.sha256)

    await asyncio.wrap_future(mounted.must_write().submit(write))


async def remove_many(call: Call) -> Response:
    """POST /v1/images/delete."""
    call.query.end()
    call.mounted.must_write()
    options = Parameters(parsed_object(await call.body()))
    ids, names = options.listed("ids") or [], options.listed("names") or []
    options.end()
    if not all(isinstance(one, int) and not isinstance(one, bool) and 0 < one < 1 << 62 for one in ids):
        raise Problem("invalid_value", "ids are numbers of images")
    if not all(isinstance(one, str) for one in names):
        raise Problem("invalid_value", "names are texts")
    if len(ids) + len(names) > _MOST_REMOVED:
        raise Problem("invalid_value", f"{_MOST_REMOVED} images at most are removed at a time")
    return json_answer(await remove_names(call.mounted, names, ids))


async def remove_names(mounted: Mounted, names: Sequence[str], ids: Sequence[int] = ()) -> dict[str, Any]:
    """Remove names, and all names of images by number, in one commit; say what was removed and what was not there."""
    writer = mounted.must_write()

    def write() -> dict[str, Any]:
        with become_writer(mounted.index):
            catalog = mounted.index.snapshot.catalog
            named = catalog.names_of(ids)
            there = [name for name in names if catalog.content_named(name) is not None]
            missing = [one for one in ids if not named[one]] + [name for name in names if name not in set(there)]
            removed = remove_images(mounted.index, [*(name for one in named.values() for name in one), *there])
        return {"removed": removed, "missing": missing}

    told: dict[str, Any] = await asyncio.wrap_future(writer.submit(write))
    return told


ENDPOINTS = (
    Endpoint(
        "GET", "/v1/images", list_all, "The images of the index",
        parameters=(
            Parameter("name", {"type": "string"}, "only the image of this name"),
            Parameter("match", {"type": "string"}, "only images with these words"),
            Parameter("format", {"type": "string"}, "only files of this format, as JPEG"),
            Parameter("after", {"type": "integer", "minimum": 0}, "what a page gave as next"),
            Parameter("limit", {"type": "integer", "minimum": 1, "maximum": _MOST_LISTED, "default": 100}),
        ), gives="Images"),
    Endpoint("GET", "/v1/images/{id}", get_one, "One image", codes=("no_such_image",), gives="ImageRecord"),
    Endpoint(
        "POST", "/v1/images", add, "Add images", "write", "batch",
        answers={201: "What became of each", 200: "Nothing of it was new", 202: "A job that does it"},
        codes=("read_only", "uploads_off", "name_taken", "writer_busy", "bad_request", "unsupported_content_type",
               "body_too_large", "fetch_off", "fetch_refused", "fetch_failed", "path_not_allowed", "disk_full"),
        takes="NewImages", gives="Added",
    ),
    Endpoint(
        "PATCH", "/v1/images/{id}", change, "Change the text of an image, or one of its names", "write", "object",
        codes=("read_only", "no_such_image", "name_taken", "writer_busy", "precondition_failed", "bad_request"),
        takes="ImageChange", gives="ImageRecord",
    ),
    Endpoint(
        "DELETE", "/v1/images/{id}", remove_one, "Remove an image from the index", "write",
        parameters=(Parameter("upload", {"type": "boolean"}, "delete its uploaded file, too"),),
        answers={204: "It is removed"}, codes=("read_only", "no_such_image", "writer_busy"),
    ),
    Endpoint(
        "DELETE", "/v1/images", remove_named, "Remove a name from the index", "write",
        parameters=(Parameter("name", {"type": "string"}), Parameter("upload", {"type": "boolean"})),
        answers={204: "It is removed"}, codes=("read_only", "no_such_image", "writer_busy", "bad_request"),
    ),
    Endpoint(
        "POST", "/v1/images/delete", remove_many, "Remove several images in one commit", "write", "object",
        answers={200: "What was removed, and what was not there"}, codes=("read_only", "writer_busy", "bad_request"),
        takes="Deletion", gives="Deleted",
    ),
)  # fmt: skip
