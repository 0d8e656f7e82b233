"""What the service says of itself: health, limits, numbers, sessions."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from starlette.responses import HTMLResponse, Response

import featmatch
from featmatch.service.calls import MOST_FIELDS, MOST_FILES, Call, Endpoint, json_answer
from featmatch.service.keys import SCOPES
from featmatch.service.metrics import CONTENT_TYPE
from featmatch.service.mounted import Mounted
from featmatch.service.pictures import SIZES
from featmatch.service.problems import Problem, errors_page
from featmatch.service.searching import MOST_BATCH

PAGE_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


async def alive(call: Call) -> Response:
    """GET /healthz/live: the loop turns. The index is never touched."""
    del call
    return Response("ok\n", media_type="text/plain")


async def ready(call: Call) -> Response:
    """GET /healthz/ready: the index can be read."""
    if not await anyio.to_thread.run_sync(call.mounted.is_intact):
        raise Problem("starting", "the index cannot be read")
    return Response("ready\n", media_type="text/plain")


async def about(call: Call) -> Response:
    """GET /v1."""
    return json_answer(await anyio.to_thread.run_sync(_about, call.mounted, call))


def _about(mounted: Mounted, call: Call) -> dict[str, Any]:
    options, snapshot = mounted.options, mounted.snapshot()
    info, scope = mounted.index.info(), SCOPES[-1] if call.key is None else call.key.scope
    shown = ("images", "features", "removed", "queued", "verdicts", "segments", "bytes", "detector", "words")
    return {
        "name": "featmatch",
        "version": featmatch.__version__,
        "index": {**{name: getattr(info, name) for name in shown}, "generation": mounted.generation(snapshot)},
        "scope": scope,
        "scopes": SCOPES[: SCOPES.index(scope) + 1],
        "key": None if call.key is None else call.key.name,
        "can": {
            "write": mounted.is_writable,
            "upload": mounted.is_writable and options.uploads is not None,
            "files": options.files,
            "fetch": bool(options.fetch),
            "jobs": options.writable,
            "add_paths": mounted.is_writable and bool(options.allow_paths),
        },
        "limits": {
            "upload_bytes": options.max_upload,
            "batch_images": MOST_BATCH,
            "files": MOST_FILES,
            "fields": MOST_FIELDS,
            "pixels": options.decoding.max_pixels,
            "searches": options.searches,
            "queue": options.waiting,
            "search_seconds": options.search_timeout,
            "thumbnail_sizes": list(SIZES),
        },
    }


async def numbers(call: Call) -> Response:
    """GET /metrics."""
    return Response(await anyio.to_thread.run_sync(call.metrics.text), media_type=CONTENT_TYPE)


async def errors(call: Call) -> Response:
    """GET /errors."""
    del call
    return HTMLResponse(errors_page(), headers={"Content-Security-Policy": PAGE_POLICY})


ENDPOINTS = (
    Endpoint("GET", "/errors", errors, "What the codes of refusals mean", None),
    Endpoint("GET", "/healthz/live", alive, "Whether the server turns", None),
    Endpoint("GET", "/healthz/ready", ready, "Whether it can answer", None, codes=("starting", "stopping")),
    Endpoint("GET", "/v1", about, "Version, index, limits", gives="About"),
    Endpoint("GET", "/metrics", numbers, "Numbers for Prometheus"),
)
