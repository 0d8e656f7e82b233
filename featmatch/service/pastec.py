"""A door for users of Pastec: its addresses and answers, over the same index. An image is named by its number there."""

from __future__ import annotations

import asyncio

import anyio.to_thread
import numpy as np
from starlette.responses import Response

from featmatch.search.matches import Match
from featmatch.service.calls import Call, Endpoint, json_answer
from featmatch.service.images import remove_from
from featmatch.service.parameters import Parameters, parsed_object
from featmatch.service.pictures_given import GivenPicture, fetched
from featmatch.service.problems import Problem, problem_of
from featmatch.service.searching import Wanted, search_once
from featmatch.service.uploading import Upload, uploaded
from featmatch.store.browsing import list_images

_MOST_MATCHES = 100
_ERRORS = {
    "decode_failed": "IMAGE_NOT_DECODED", "timeout": "IMAGE_NOT_DECODED", "too_large": "IMAGE_SIZE_TOO_BIG",
    "body_too_large": "IMAGE_SIZE_TOO_BIG", "too_little_detail": "IMAGE_SIZE_TOO_SMALL",
    "no_such_image": "IMAGE_NOT_FOUND", "bad_request": "MISFORMATTED_REQUEST", "invalid_value": "MISFORMATTED_REQUEST",
    "unknown_field": "MISFORMATTED_REQUEST", "fetch_failed": "IMAGE_DOWNLOADER_HTTP_ERROR",
    "fetch_refused": "IMAGE_DOWNLOADER_HTTP_ERROR", "fetch_off": "IMAGE_DOWNLOADER_HTTP_ERROR",
}  # fmt: skip


async def ping(call: Call) -> Response:
    """POST /."""
    told = parsed_object(await call.body())
    return json_answer({"type": "PONG"} if told.get("type") == "PING" else {"type": "MISFORMATTED_REQUEST"})


async def put(call: Call) -> Response:
    """PUT /index/images/{id}."""
    number = _number(call)
    try:
        content = await _picture(call)
        report = await asyncio.wrap_future(uploaded(call.mounted, [Upload(number, content, None)], "replace"))
        if report.failed:
            return _refused(report.failed[0].status, 400)
        image = await anyio.to_thread.run_sync(call.mounted.image_named, number)
    except Exception as error:
        return _failed(error)
    features = image.record.features
    return json_answer({"type": "IMAGE_ADDED", "image_id": int(number), "nb_features_extracted": features})


async def delete(call: Call) -> Response:
    """DELETE /index/images/{id}."""
    number = _number(call)
    try:
        await remove_from(call.mounted, lambda: call.mounted.image_named(number), [number], upload=True)
    except Exception as error:
        return _failed(error)
    return json_answer({"type": "IMAGE_REMOVED", "image_id": int(number)})


async def searcher(call: Call) -> Response:
    """POST /index/searcher."""
    mounted = call.mounted
    try:
        given = GivenPicture(await _picture(call), "-")
        wanted = Wanted.of(Parameters({"limit": _MOST_MATCHES}))
        answer = (await call.search(lambda: search_once(mounted, given, wanted))).answer
    except Exception as error:
        return _failed(error)
    if answer["status"] != "ok":
        return _refused(answer["status"], 400)
    found = [match for match in answer["matches"] if match["name"].isdigit()]
    records = await anyio.to_thread.run_sync(mounted.index.snapshot.catalog.records_of, [one["id"] for one in found])
    texts = {record.name: record.text for record in records}
    return json_answer(
        {
            "type": "SEARCH_RESULTS",
            "image_ids": [int(match["name"]) for match in found],
            "scores": [match["score"] for match in found],
            "bounding_rects": [_rectangle(Match.from_dict(match)) for match in found],
            "tags": [texts.get(match["name"]) or "" for match in found],
        }
    )


async def numbers(call: Call) -> Response:
    """GET /index/imageIds."""

    def listed() -> list[int]:
        catalog = call.mounted.snapshot().catalog
        names = (name for one in list_images(catalog, limit=1 << 62) for name in one.names)
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    return json_answer({"type": "INDEX_IMAGE_IDS", "image_ids": await anyio.to_thread.run_sync(listed)})


async def change(call: Call) -> Response:
    """POST /index/io: what is added is kept already, and nothing here may forget all of it."""
    kind = parsed_object(await call.body()).get("type")
    types = {"LOAD": "INDEX_NOT_FOUND", "WRITE": "INDEX_NOT_WRITTEN", "CLEAR": "ERROR_GENERIC"}
    return json_answer({"type": types.get(str(kind), "MISFORMATTED_REQUEST")}, 400)


def _number(call: Call) -> str:
    call.number()  # refuses what is none
    return str(int(call.request.path_params["id"]))


async def _picture(call: Call) -> bytes:
    """The body itself, or the picture at the address that it names."""
    content = await call.body()
    if not content.startswith(b"{"):
        if not content:
            raise Problem("bad_request", "there is no image in the request")
        return content
    told = Parameters(parsed_object(content))
    url = told.text("url")
    if url is None:
        raise Problem("bad_request", "a url is wanted")
    return await fetched(call, url)


def _rectangle(match: Match) -> dict[str, int]:
    """The part of the query that was found, as Pastec tells it."""
    low, high = np.rint(match.query_region.min(axis=0)), np.rint(match.query_region.max(axis=0))
    width, height = high - low
    return {"x": max(int(low[0]), 0), "y": max(int(low[1]), 0), "width": int(width), "height": int(height)}


def _failed(error: Exception) -> Response:
    """What Pastec would say; what it has no word for is told as everywhere."""
    problem = problem_of(error)
    if problem is None or problem.code not in _ERRORS:
        raise error
    return _refused(problem.code, problem.status)


def _refused(code: str, status: int) -> Response:
    return json_answer({"type": _ERRORS.get(code, "ERROR_GENERIC")}, status)


ENDPOINTS = (
    Endpoint("POST", "/", ping, "Pastec: PING", body="object"),
    Endpoint("PUT", "/index/images/{id}", put, "Pastec: add an image", "write", "image"),
    Endpoint("DELETE", "/index/images/{id}", delete, "Pastec: remove an image", "write"),
    Endpoint("POST", "/index/searcher", searcher, "Pastec: search", body="image"),
    Endpoint("GET", "/index/imageIds", numbers, "Pastec: all images"),
    Endpoint("POST", "/index/io", change, "Pastec: refused here", "write", "object", answers={400: "Refused"}),
)
