"""What every request passes: who may ask, what is told of errors, and what is counted and written down."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featmatch.service.bodies import Bodies
from featmatch.service.keys import Key, Keys
from featmatch.service.keys import Scope as KeyScope
from featmatch.service.metrics import Metrics
from featmatch.service.options import ServeOptions
from featmatch.service.problems import Problem, problem_of
from featmatch.service.slots import ClientGoneError

COOKIE = "featmatch_session"
_REQUEST_ID = re.compile(r"[\w.-]{1,64}")
_SAFE_METHODS = ("GET", "HEAD")
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?", re.IGNORECASE)
_METHODS = frozenset((*_SAFE_METHODS, "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_GONE = 499  # as nginx has it: nobody waits for the answer
_OF_HTTP = {404: "no_such_route", 405: "method_not_allowed", 413: "body_too_large", 400: "bad_request"}

log = logging.getLogger("featmatch.service")


class Guard:
    """An ASGI application around another one.

    Attributes:
        stopping: whether the server ends, so that nothing new is begun.
    """

    def __init__(self, app: ASGIApp, options: ServeOptions, keys: Keys | None, metrics: Metrics) -> None:
        self._app = app
        self._options = options
        self._keys = keys
        self._metrics = metrics
        self._bodies = Bodies(options.max_bodies)
        self._cors = frozenset(origin.rstrip("/").lower() for origin in options.cors)
        self.stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        status, sent = 0, 0

        async def watched(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
                MutableHeaders(scope=message).setdefault("X-Content-Type-Options", "nosniff")
                MutableHeaders(scope=message).setdefault("Referrer-Policy", "no-referrer")
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        scope["app"] = self  # so that errors of Starlette are raised, and told as ours
        scope["featmatch.request_id"] = request_id
        reason = None
        try:
            self._check(scope, headers)
            with self._bodies.of_one() as scope["featmatch.take"]:
                await self._app(scope, receive, watched)
        except (ClientGoneError, ClientDisconnect):
            status = _GONE
        except Exception as error:
            if status:
                log.exception("an answer broke off", extra={"told": {"request_id": request_id}})
                raise
            problem = self._problem(error, request_id)
            reason = problem.code
            await _with_allow(problem.response(request_id, self._options.prefix), error)(scope, receive, watched)
        finally:
            self._note(scope, status, reason, 1000 * (time.perf_counter() - began), sent)

    def authenticate(self, request: Request, scope: KeyScope | None) -> Key | None:
        """Whoever asks, who must be allowed what has this scope; None where there are no keys.

        Raises:
            Problem: nobody that is known, or not allowed.
        """
        if self._keys is None or scope is None:
            return None
        given = request.headers.get("authorization", "")
        kind, _, secret = given.partition(" ")
        token = request.cookies.get(COOKIE)
        if kind.lower() == "bearer" and secret:
            key = self._keys.key_of(secret.strip())
        elif token:
            key = self._keys.key_of_session(token)
        else:
            raise Problem("key_missing")
        if key is None:
            raise Problem("key_unknown")
        request.scope["featmatch.key"] = key.name
        if not key.allows(scope):
            raise Problem("scope_missing", f"this needs the scope {scope}")
        return key

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Refuse requests by a name that is not ours, and those that another site's page makes."""
        if self.stopping and not scope["path"].endswith("/healthz/live"):
            raise Problem("stopping")
        host = headers.get("host", "")
        if _host_name(host) not in self._options.hosts:
            raise Problem("origin_refused", "the service does not go by this host name; --allowed-host NAME allows it")
        origin = headers.get("origin")
        if scope["method"] in _SAFE_METHODS or origin is None:
            return
        scheme, _, place = origin.lower().partition("://")
        own = place == host.lower() and scheme in ("http", "https")
        if not own and origin.lower() not in self._cors:
            raise Problem("origin_refused", "the page of another site asks")

    def _problem(self, error: Exception, request_id: str) -> Problem:
        problem = problem_of(error)
        if problem is not None:
            return problem
        if isinstance(error, HTTPException) and error.status_code in _OF_HTTP:
            return Problem(_OF_HTTP[error.status_code])
        log.error("the service failed", exc_info=error, extra={"told": {"request_id": request_id}})
        return Problem("internal")

    def _note(self, scope: Scope, status: int, reason: str | None, milliseconds: float, sent: int) -> None:
        route = scope.get("featmatch.route", "")
        method = scope["method"] if scope["method"] in _METHODS else "other"  # strangers make no labels
        self._metrics.requests.labels(route, method, str(status)).inc()
        if reason is not None:
            self._metrics.refused.labels(reason).inc()
        told = {
            "request_id": scope["featmatch.request_id"],
            "method": method,
            "route": route,
            "status": status,
            "code": reason,
            "ms": round(milliseconds, 1),
            "stages": scope.get("featmatch.stages"),
            "bytes": sent,
            "key": scope.get("featmatch.key"),
        }
        log.info("request", extra={"told": {name: value for name, value in told.items() if value is not None}})


class JsonLines(logging.Formatter):
    """One JSON object a line. Never a picture, its name, or the query of an address: callers log none."""

    def format(self, record: logging.LogRecord) -> str:
        """As a line."""
        told: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_told(record),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told)


class TextLines(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        """As a line."""
        told = " ".join(f"{name}={value}" for name, value in _told(record).items())
        line = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower()} {record.getMessage()} {told}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _told(record: logging.LogRecord) -> Mapping[str, Any]:
    told: Mapping[str, Any] = getattr(record, "told", {})
    return told


def _host_name(host: str) -> str:
    """The name in a Host header, without its port and the brackets of IPv6; empty where it is no such header."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower().rstrip(".") if found else ""


def _with_allow(response: Response, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.headers and "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
