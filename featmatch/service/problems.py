"""What the service refuses, in one shape: RFC 9457, with a code that programs can rely on."""

from __future__ import annotations

import errno
import html
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from featmatch.errors import ImageError, MissingFeatureError, StoreError, UsageError, WriterBusyError
from featmatch.names import plain

# code -> status and title
CODES: Mapping[str, tuple[int, str]] = {
    "bad_request": (400, "The request cannot be understood"),
    "key_missing": (401, "A key is needed"),
    "key_unknown": (401, "The key is not known"),
    "scope_missing": (403, "The key does not allow this"),
    "read_only": (403, "The service does not write"),
    "uploads_off": (403, "The service keeps no uploads"),
    "files_off": (403, "The service does not give out files"),
    "fetch_off": (403, "The service fetches no addresses"),
    "path_not_allowed": (403, "The service may not read this path"),
    "origin_refused": (403, "Requests of this origin or to this host name are refused"),
    "no_such_route": (404, "There is nothing at this path"),
    "no_such_image": (404, "The index has no such image"),
    "no_such_job": (404, "There is no such job"),
    "no_such_query": (404, "There is no such query"),
    "no_such_group": (404, "There is no such group"),
    "method_not_allowed": (405, "The path does not take this method"),
    "file_changed": (409, "The file has changed since it was indexed"),
    "name_taken": (409, "Another image has this name"),
    "writer_busy": (409, "Another program is writing to the index"),
    "groups_not_made": (409, "The groups have not been made yet"),
    "file_gone": (410, "The file is not at hand"),
    "query_expired": (410, "The query is no longer kept"),
    "precondition_failed": (412, "It has changed meanwhile"),
    "body_too_large": (413, "The body is too large"),
    "unsupported_content_type": (415, "The body is of no type that this takes"),
    "decode_failed": (422, "The picture cannot be read"),
    "too_large": (422, "The picture has too many pixels"),
    "timeout": (422, "The picture takes too long to read"),
    "unknown_field": (422, "There is no such field or parameter"),
    "invalid_value": (422, "A value is not one of those that are possible"),
    "fetch_refused": (422, "The address may not be fetched"),
    "fetch_failed": (422, "The address cannot be fetched"),
    "key_busy": (429, "This key uses its share already"),
    "internal": (500, "The service failed"),
    "index_damaged": (500, "The index is damaged"),
    "busy": (503, "Too many searches are waiting"),
    "starting": (503, "The service is starting"),
    "stopping": (503, "The service is stopping"),
    "disk_full": (507, "The disk is full"),
}
RETRY_SECONDS = 1
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


class Problem(Exception):  # noqa: N818  # the word of RFC 9457
    """A refusal that the client is told of."""

    def __init__(self, code: str, detail: str = "", *, retry_after: int | None = None, **more: Any) -> None:
        """Refuse.

        Args:
            code: one of ``CODES``.
            detail: what is wrong with this request, for people.
            retry_after: seconds after which to try again.
            more: further members of the object.
        """
        super().__init__(code, detail)
        self.code = code
        self.status, self.title = CODES[code]
        self.detail = plain(detail)
        self.retry_after = RETRY_SECONDS if retry_after is None and self.status in (429, 503) else retry_after
        self.more = more

    def response(self, request_id: str, prefix: str = "") -> JSONResponse:
        """As the client gets it.

        Args:
            request_id: of the request.
            prefix: what all paths of the service begin with; there it explains its codes.
        """
        told = {
            "type": f"{prefix}/errors#{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail or self.title,
            "code": self.code,
            "request_id": request_id,
            **self.more,
        }
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(told, self.status, headers, "application/problem+json")


def errors_page() -> str:
    """A page that explains the codes: where ``type`` leads."""
    rows = "".join(
        f'<tr id="{code}"><td>{status}<td>{code}<td>{html.escape(title)}</tr>'
        for code, (status, title) in CODES.items()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>featmatch: what is refused</title>"
        f"<h1>What is refused</h1><table><tr><th>Status<th>Code<th>Why</tr>{rows}</table></html>"
    )


def problem_of(error: Exception) -> Problem | None:
    """The problem that an error of the library means to a client; None: it is a mistake of ours."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ImageError):
        return _of_image(error)
    if isinstance(error, (UsageError, MissingFeatureError)):
        return Problem("invalid_value", str(error))
    if isinstance(error, WriterBusyError):
        return Problem("writer_busy", retry_after=RETRY_SECONDS)
    cause = error.__cause__ if isinstance(error, StoreError) else error
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem("disk_full")
    return _of_store(cause) if isinstance(error, StoreError) else None


def _of_store(cause: BaseException | None) -> Problem:
    if isinstance(cause, OSError) and cause.errno in _NOT_WRITABLE:
        return Problem("read_only", "the service may not write to the index")
    return Problem("index_damaged")


def _of_image(error: ImageError) -> Problem:
    """Messages of decoders are for people, and say nothing of where a file is."""
    if error.status == "not_found":
        return Problem("file_gone")
    if error.status == "decode_failed" and error.message.startswith("took more than"):
        return Problem("timeout", error.message)
    return Problem("too_large" if error.status == "too_large" else "decode_failed", error.message)
