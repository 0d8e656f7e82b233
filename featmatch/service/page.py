"""The web page, and what it is made of. Asked for without a key: the page asks the reader for one."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import anyio.to_thread
from starlette.responses import Response

from featmatch.service.calls import Call, Endpoint
from featmatch.service.problems import Problem
from featmatch.web.bundling import LANGUAGES, PICTURES, script, style, text_of, words

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Part:
    """A file of the page, compressed once."""

    media_type: str
    content: bytes
    packed: bytes
    tag: str


@cache
def parts() -> Mapping[str, Part]:
    """All files of the page by name."""
    return {
        "index.html": _part("text/html; charset=utf-8", text_of("index.html")),
        "app.js": _part("text/javascript; charset=utf-8", script("app")),
        "page.css": _part("text/css; charset=utf-8", style(embedded=False)),
        **{f"{lang}.json": _part("application/json", words(lang)) for lang in LANGUAGES},
        **{f"{name}.svg": _part("image/svg+xml", text_of(f"{name}.svg")) for name in PICTURES},
    }


def _part(media_type: str, text: str) -> Part:
    content = text.encode()
    return Part(media_type, content, gzip.compress(content, mtime=0), f'"{hashlib.sha256(content).hexdigest()[:16]}"')


async def page(call: Call) -> Response:
    """GET /."""
    return await _answer(call, "index.html")


async def part(call: Call) -> Response:
    """GET /page/{file}."""
    return await _answer(call, call.request.path_params["file"])


async def _answer(call: Call, name: str) -> Response:
    known = await anyio.to_thread.run_sync(parts)
    if name not in known:
        raise Problem("no_such_route")
    told, asked = known[name], call.request.headers
    headers = {
        "ETag": told.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding", "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
    }  # fmt: skip
    if asked.get("if-none-match") == told.tag:
        return Response(status_code=304, headers=headers)
    packed = "gzip" in asked.get("accept-encoding", "")
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(told.packed if packed else told.content, media_type=told.media_type, headers=headers)


ENDPOINTS = (
    Endpoint("GET", "/", page, "The page for people", None),
    Endpoint("GET", "/page/{file}", part, "What the page is made of", None),
)
