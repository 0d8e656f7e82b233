"""A door for users of TinEye's MatchEngine, and of dsys/match: their addresses and answers, over the same index."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio.to_thread
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from featmatch.proof.pair import verify_apart
from featmatch.proof.proof import PROVEN
from featmatch.service.calls import Call, Endpoint, Parameter, json_answer
from featmatch.service.images import remove_names
from featmatch.service.parameters import Parameters
from featmatch.service.pictures_given import UNNAMED, GivenPicture, content_of, fetched
from featmatch.service.problems import Problem, problem_of
from featmatch.service.searching import Wanted, search_once
from featmatch.service.uploading import Upload, uploaded
from featmatch.store.browsing import list_images

Results = list[Any]

_MOST = 64  # images of one request


def _told(method: str, about: str, act: Callable[[Call], Awaitable[Results]], **how: Any) -> tuple[Endpoint, ...]:
    """A method of theirs, with and without the slash at its end."""

    async def answer(call: Call) -> Response:
        try:
            results = await act(call)
        except Exception as error:
            problem = problem_of(error)
            if problem is None or problem.status in (401, 403, 429, 503):
                raise
            told = {"status": "fail", "error": [problem.detail or problem.title], "method": name, "result": []}
            return json_answer(told, problem.status)
        return json_answer({"status": "ok", "error": [], "method": name, "result": results})

    name = about.split(maxsplit=1)[0]
    return tuple(
        Endpoint(method, f"/rest/{name}{slash}", answer, f"MatchEngine: {about}", **how) for slash in ("/", "")
    )


async def add(call: Call) -> Results:
    """Images or addresses, each with a filepath."""
    form = await call.form()
    paths, given = _texts(form, "filepath"), _files(form, "image")
    urls = _texts(form, "url")
    if not 1 <= len(given) + len(urls) <= _MOST or (given and urls):
        raise Problem("bad_request", f"1 to {_MOST} images or urls are wanted")
    if paths and len(paths) != len(given) + len(urls):
        raise Problem("bad_request", "each image needs a filepath")
    contents = [await content_of(call, file) for file in given] + [await fetched(call, url) for url in urls]
    names = paths or [file.filename or UNNAMED for file in given] or urls
    uploads = [Upload(name, content, None) for name, content in zip(names, contents, strict=True)]
    report = await asyncio.wrap_future(uploaded(call.mounted, uploads, "replace"))
    if report.failed:
        raise Problem("decode_failed", "; ".join(f"{one.name}: {one.message}" for one in report.failed))
    return []


async def delete(call: Call) -> Results:
    """By filepath, of a form or of the query string."""
    names = (
        _texts(await call.form(), "filepath") if call.content_type.startswith(("multipart/", "application/x-")) else []
    )
    if not names:
        options = call.query
        names = [name for key in ("filepath", "filepaths[]") if (name := options.text(key)) is not None]
    if not names:
        raise Problem("bad_request", "a filepath is wanted")
    told = await remove_names(call.mounted, names)
    if told["missing"]:
        raise Problem("no_such_image", f"not in the index: {', '.join(map(str, told['missing']))}")
    return []


async def search(call: Call) -> Results:
    """An image, an address, or an image of the index by its filepath."""
    form = await call.form()
    options = Parameters.of_pairs((name, value) for name, value in form.multi_items() if isinstance(value, str))
    for ignored in ("url", "filepath", "check_horizontal_flip", "generate_overlay"):
        options.take(ignored)
    offset, limit = options.whole("offset", 0, 0, 1 << 31), options.whole("limit", 10, 1, 100)
    least = options.number("min_score", 0.0, 0.0, 100.0)
    options.end()
    given = await _picture(call, form, "image", "url", "filepath")
    wanted = Wanted.of(Parameters({"limit": min(offset + limit, 100), "min_probability": max(least / 100, PROVEN)}))
    found = (await call.search(lambda: search_once(call.mounted, given, wanted))).answer
    return [_match_object(match) for match in found["matches"][offset:]]


async def compare(call: Call) -> Results:
    """Two images, or addresses, or images of the index."""
    form = await call.form()
    pair = [await _picture(call, form, f"image{n}", f"url{n}", f"filepath{n}") for n in (1, 2)]

    def told() -> Results:
        one, other = (given.source for given in pair)
        found = verify_apart(one, other, call.mounted.options.decoding)
        if not found or found.proof is None:
            return []
        return [_match_object({**found.to_dict(), "name": pair[1].name})]

    return await call.search(told)


async def count(call: Call) -> Results:
    """How many images there are."""
    return [await anyio.to_thread.run_sync(lambda: call.mounted.snapshot().catalog.totals().names)]


async def listed(call: Call) -> Results:
    """Names, by number."""
    options = call.query
    offset, limit = options.whole("offset", 0, 0, 1 << 31), options.whole("limit", 20, 1, 10_000)
    options.end()

    def names() -> Results:
        found = list_images(call.mounted.snapshot().catalog, limit=offset + limit)
        return [name for one in found for name in one.names][offset : offset + limit]

    return await anyio.to_thread.run_sync(names)


async def ping(call: Call) -> Results:
    """The service is there."""
    del call
    return []


def _match_object(match: dict[str, Any]) -> dict[str, Any]:
    (a, b, c), (d, e, f), _ = match["homography"]
    return {
        "score": round(100 * match["probability"], 1),
        "match_percent": round(100 * max(match["query_overlap"], match["reference_overlap"]), 1),
        "query_overlap_percent": round(100 * match["query_overlap"], 1),
        "target_overlap_percent": round(100 * match["reference_overlap"], 1),
        "overlay": f"overlay/?m11={a:.6g}&m12={b:.6g}&m13={c:.6g}&m21={d:.6g}&m22={e:.6g}&m23={f:.6g}",
        "filepath": match["name"],
    }


async def _picture(call: Call, form: FormData, image: str, url: str, path: str) -> GivenPicture:
    files, urls, paths = _files(form, image), _texts(form, url), _texts(form, path)
    if len(files) == 1:
        return GivenPicture(await content_of(call, files[0]), files[0].filename or UNNAMED)
    if len(urls) == 1:
        return GivenPicture(await fetched(call, urls[0]), urls[0])
    if len(paths) != 1:
        raise Problem("bad_request", f"one {image}, {url} or {path} is wanted")
    found = await anyio.to_thread.run_sync(call.mounted.image_named, paths[0])
    return GivenPicture(await anyio.to_thread.run_sync(call.mounted.file_of, found), paths[0])


def _values(form: FormData, name: str) -> Sequence[Any]:
    """Those of a name, as one or in their form of a list."""
    wanted = (name, f"{name}s", f"{name}[]", f"{name}s[]")
    return [value for part, value in form.multi_items() if part.split("[")[0] + "[]" * ("[" in part) in wanted]


def _files(form: FormData, name: str) -> list[UploadFile]:
    return [value for value in _values(form, name) if isinstance(value, UploadFile)]


def _texts(form: FormData, name: str) -> list[str]:
    return [value for value in _values(form, name) if isinstance(value, str)]


_PAGE = tuple(Parameter(name, {"type": "integer", "minimum": 0}) for name in ("offset", "limit"))
ENDPOINTS = (
    *_told("POST", "add images", add, scope="write", body="batch"),
    *_told("POST", "delete images", delete, scope="write", body="batch"),
    *_told("DELETE", "delete images", delete, scope="write", body="batch"),
    *_told("POST", "search", search, body="batch"),
    *_told("POST", "compare two images", compare, body="batch"),
    *_told("GET", "count of images", count),
    *_told("GET", "list of images", listed, parameters=_PAGE),
    *_told("GET", "ping", ping),
)
