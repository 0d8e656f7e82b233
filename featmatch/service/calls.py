"""One request on its way to its answer: who asks, what of, and the body, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from featmatch.names import with_quoted
from featmatch.service.bodies import BodyRefusedError
from featmatch.service.keys import Key, Scope
from featmatch.service.metrics import Metrics
from featmatch.service.mounted import Mounted
from featmatch.service.parameters import Parameters
from featmatch.service.problems import Problem

Result = TypeVar("Result")
Body = Literal["none", "object", "image", "batch"]

MOST_FILES = 64
MOST_FIELDS = 64
MOST_FIELD_BYTES = 64 << 10
_MOST_OBJECT_BYTES = 1 << 20
_BASE64 = 4 / 3


@dataclass(frozen=True)
class Call:
    """A request to one of the indexes.

    Attributes:
        request: as it came.
        mounted: the index that it is for.
        metrics: of the server.
        key: of whoever asks; None: there are no keys.
    """

    request: Request
    mounted: Mounted
    metrics: Metrics
    key: Key | None

    @property
    def query(self) -> Parameters:
        """The options of the query string."""
        return Parameters.of_query(self.request.scope["query_string"])

    @property
    def content_type(self) -> str:
        """Without its parameters; empty where the request does not say."""
        return content_type_of(self.request)

    def has(self, tag: str) -> bool:
        """Whether the client has what has this ETag already; it may have been made weak on its way."""
        given = self.request.headers.get("if-none-match", "").split(",")
        return not {tag, "*"}.isdisjoint(one.strip().removeprefix("W/") for one in given)

    def check_unchanged(self, tag: str) -> None:
        """See that what is to be changed is still what the client has seen, if it says so.

        Raises:
            Problem: it is not.
        """
        given = self.request.headers.get("if-match")
        if given is not None and {tag, "*"}.isdisjoint(one.strip() for one in given.split(",")):
            raise Problem("precondition_failed")

    def number(self, name: str = "id") -> int:
        """A number of the path.

        Raises:
            Problem: it is no number of an image.
        """
        text = self.request.path_params[name]
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise Problem("no_such_image")
        return int(text)

    async def body(self) -> bytes:
        """The body.

        Raises:
            Problem: it is too large, or too slow.
        """
        try:
            return await self._in_time(self.request.body())
        except BodyRefusedError as error:
            raise error.problem from error

    async def form(self, most_fields: int = MOST_FIELDS) -> FormData:
        """The fields and files of a form.

        Args:
            most_fields: that it may have.

        Raises:
            Problem: it is none, or has too many parts.
        """
        try:
            return await self._in_time(
                self.request.form(max_files=MOST_FILES, max_fields=most_fields, max_part_size=MOST_FIELD_BYTES)
            )
        except HTTPException as error:
            cause = error.__context__
            raise (
                cause.problem if isinstance(cause, BodyRefusedError) else Problem("bad_request", error.detail)
            ) from error

    async def gone(self) -> None:
        """Return when the client is gone. For after the body was read."""
        while (await self.request.receive())["type"] != "http.disconnect":
            pass

    async def search(self, function: Callable[[], Result], *, watched: bool = True) -> Result:
        """Call a function in a thread, when it is this request's turn.

        Args:
            function: does the work.
            watched: give up waiting where the client is gone; not while an answer is sent, which watches itself.
        """
        name = None if self.key is None else self.key.name
        return await self.mounted.slots.run(function, name, self.gone if watched else None)

    async def _in_time(self, coming: Awaitable[Result]) -> Result:
        seconds = self.mounted.options.body_timeout
        try:
            return await asyncio.wait_for(_awaited(coming), seconds)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise Problem("bad_request", f"the body took more than {seconds:g} seconds") from error


@dataclass(frozen=True)
class Parameter:
    """An option of a request, as its description has it."""

    name: str
    schema: Mapping[str, Any]
    about: str = ""


@dataclass(frozen=True)
class Endpoint:
    """What is done with a method on a path.

    Attributes:
        method: of HTTP.
        path: with the places of its parameters.
        handle: does it.
        about: one line.
        scope: that a key must have; None: no key is asked for.
        body: what the request brings, and so how large it may be.
        parameters: of the query string.
        answers: descriptions by status.
        codes: of problems, beside those that every request may get.
        takes: the name of the schema of a JSON body.
        gives: the name of the schema of a JSON answer.
    """

    method: str
    path: str
    handle: Callable[[Call], Awaitable[Response]]
    about: str
    scope: Scope | None = "read"
    body: Body = "none"
    parameters: tuple[Parameter, ...] = ()
    answers: Mapping[int, str] = field(default_factory=lambda: {200: "The answer"})
    codes: tuple[str, ...] = ()
    takes: str | None = None
    gives: str | None = None

    def most_bytes(self, mounted: Mounted, request: Request) -> int:
        """Of the body of a request."""
        options, kind = mounted.options, content_type_of(request)
        images = {"none": 0, "object": 0, "image": options.max_upload, "batch": options.max_batch}[self.body]
        if self.body == "object" or kind == "multipart/form-data":
            return images + _MOST_OBJECT_BYTES  # for the other fields of a form, and the heads of its parts
        return int(images * _BASE64) + _MOST_OBJECT_BYTES if images and kind == "application/json" else images


def content_type_of(request: Request) -> str:
    """The type of a body, without its parameters; empty where the request does not say."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def json_answer(values: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An answer in JSON. Names that are not valid Unicode have a quoted form beside them, as the CLI prints it."""
    return _Ascii(with_quoted(values), status, headers)


class _Ascii(JSONResponse):
    """JSON in ASCII, so that text of any kind can be encoded."""

    def render(self, content: Any) -> bytes:
        import json

        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


async def _awaited(coming: Awaitable[Result]) -> Result:
    return await coming
