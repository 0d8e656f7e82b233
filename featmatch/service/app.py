"""The application: routes of one or several indexes, behind the guard."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from featmatch.index import Index
from featmatch.indexes import names_several, open_all
from featmatch.service import (
    about,
    images,
    judging,
    matchengine,
    page,
    pastec,
    pictures,
    points,
    searching,
    uploading,
    working,
)
from featmatch.service.bodies import BoundedBody
from featmatch.service.calls import Call, Endpoint, json_answer
from featmatch.service.guard import Guard
from featmatch.service.keys import Keys
from featmatch.service.metrics import Metrics
from featmatch.service.mounted import Mounted
from featmatch.service.openapi import description
from featmatch.service.openapi import page as api_page
from featmatch.service.options import ServeOptions
from featmatch.service.sessions import session_endpoints
from featmatch.service.slots import Slots
from featmatch.service.thumbnails import Thumbnails
from featmatch.store.reader import Reader
from featmatch.system.workers import prepare

_DOORS = {"pastec": pastec.ENDPOINTS, "matchengine": matchengine.ENDPOINTS}
# Loaded by the processes that will decode, while the indexes are opened: else the first picture waits for it.
_NEEDED = ("featmatch.images.preload", "featmatch.search.query")
_PREPARED = 2  # processes at least: thumbnails of the page keep one busy
_FINISH_SECONDS = 20.0  # for searches under way when the server ends
_WRITE_SECONDS = 60.0  # for the commit under way


class Service:
    """An ASGI application that serves indexes.

    Attributes:
        mounted: the indexes, by the name under which each is mounted; "" for the one that has none.
        guard: what all requests pass.
        keys: of those who may ask; None: everybody may.
        metrics: of all of them.
    """

    def __init__(self, indexes: Mapping[str, Reader], options: ServeOptions) -> None:
        """Prepare to serve.

        Args:
            indexes: by the name under which each is mounted; "" for the one that has none.
            options: how.

        Raises:
            UsageError: the file of keys cannot be read.
        """
        self._options = options
        self._slots = Slots(options.searches, options.waiting, options.search_timeout)
        thumbnails = Thumbnails()
        self.keys = None if options.keys is None else Keys(options.keys)
        self.metrics = Metrics()
        self.mounted = {
            name: Mounted(index, options, self._slots, thumbnails, options.prefix + (f"/{name}" if name else ""))
            for name, index in indexes.items()
        }
        self.metrics.watch(list(self.mounted.values()))
        routes: list[BaseRoute] = []
        for name, mounted in sorted(self.mounted.items(), reverse=True):  # the one without a name comes last
            own = self._routes(mounted)
            routes += [_with_slash(f"/{name}", mounted.base), Mount(f"/{name}", routes=own)] if name else own
        if "" not in self.mounted:
            first = next(iter(self.mounted.values()))
            routes += [*self._routes(first, about.ENDPOINTS[:3]), _with_slash("/", first.base)]
        if options.prefix:
            routes = [_with_slash(options.prefix, options.prefix), Mount(options.prefix, routes=routes)]
        app: ASGIApp = Router(routes, redirect_slashes=False, lifespan=self._lifespan)
        self.guard = Guard(app, options, self.keys, self.metrics)
        self._app: ASGIApp = self.guard
        if options.cors:
            self._app = CORSMiddleware(
                self.guard, allow_origins=options.cors, allow_credentials=True, allow_headers=["*"],
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                expose_headers=["ETag", "Location", "Retry-After", "Server-Timing", "X-Request-Id"],
            )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    def stop(self) -> None:
        """Begin nothing new: requests are refused, and jobs end at their next commit."""
        self.guard.stopping = True
        for mounted in self.mounted.values():
            mounted.jobs.stop()

    async def drain(self, seconds: float) -> None:
        """Wait for the searches under way, but no longer than this; what is new is refused meanwhile."""
        self.stop()
        await self._slots.drain(seconds)

    async def finish(self, seconds: float) -> None:
        """Wait for what is under way, for searches no longer than this, and let all go."""
        self.stop()
        for mounted in self.mounted.values():
            if mounted.writer is not None:
                mounted.writer.stop()
        await self._slots.drain(seconds)
        self._slots.close()
        for mounted in self.mounted.values():
            if mounted.writer is not None:
                mounted.writer.join(_WRITE_SECONDS)
            mounted.jobs.close()

    def endpoints(self) -> tuple[Endpoint, ...]:
        """All that there are for one index."""
        return (
            *about.ENDPOINTS, *session_endpoints(self.keys), *searching.ENDPOINTS, *images.ENDPOINTS,
            *uploading.ENDPOINTS, *pictures.ENDPOINTS, *points.ENDPOINTS, *judging.ENDPOINTS, *working.ENDPOINTS,
            *(endpoint for name in self._options.compat for endpoint in _DOORS[name]),
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: object) -> AsyncIterator[None]:
        del app
        yield
        await self.finish(_FINISH_SECONDS)

    def _routes(self, mounted: Mounted, endpoints: tuple[Endpoint, ...] | None = None) -> list[BaseRoute]:
        if endpoints is not None:
            return [self._route(mounted, endpoint) for endpoint in endpoints]
        document = description(self.endpoints(), mounted.base)
        described, shown = bytes(json_answer(document).body), api_page(document)  # once, as they never change

        async def openapi(call: Call) -> Response:
            del call
            return Response(described, media_type="application/json")

        async def docs(call: Call) -> Response:
            del call
            return HTMLResponse(shown, headers={"Content-Security-Policy": about.PAGE_POLICY})

        own = (
            Endpoint("GET", "/openapi.json", openapi, "This description", None),
            Endpoint("GET", "/docs", docs, "The same for people", None),
        )
        return [self._route(mounted, endpoint) for endpoint in (*self.endpoints(), *own, *page.ENDPOINTS)]

    def _route(self, mounted: Mounted, endpoint: Endpoint) -> Route:
        return Route(endpoint.path, self._answering(mounted, endpoint), methods=[endpoint.method])

    def _answering(self, mounted: Mounted, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            request.scope["featmatch.route"] = endpoint.path
            key = self.guard.authenticate(request, endpoint.scope)
            bounded = Request(request.scope, BoundedBody(request, endpoint.most_bytes(mounted, request)))
            call = Call(bounded, mounted, self.metrics, key)
            try:
                if endpoint.path.startswith("/v1") and not endpoint.parameters:
                    call.query.end()
                return await endpoint.handle(call)
            finally:
                await bounded.close()  # the files of its form

        return answer


def _with_slash(path: str, base: str) -> Route:
    """To the page of an index: it asks for what lies below its own address."""

    async def lead(request: Request) -> Response:
        del request
        return RedirectResponse(f"{base}/", status_code=308)

    return Route(path, lead, methods=["GET"])


def open_service(indexes: Mapping[str, Path], options: ServeOptions, also: Sequence[Path] = ()) -> Service:
    """Open indexes, and prepare to serve them.

    Args:
        indexes: by the name under which each is mounted; each may be a file that lists some, to be served as one.
        options: how.
        also: further ones that are served as one with the index that has no name.

    Raises:
        StoreError: there is no index, or it is damaged.
        UsageError: the file of keys cannot be read.
    """
    prepare(*_NEEDED, processes=min(options.searches, max(os.cpu_count() or 1, _PREPARED)))
    opened = {name: _opened([path, *(() if name else also)], options.root) for name, path in indexes.items()}
    return Service(opened, options)


def _opened(paths: Sequence[Path], root: Path | None) -> Reader:
    if len(paths) > 1 or names_several(paths[0]):
        return open_all(paths, root=root).joined
    return Index.open(paths[0], root=root)
