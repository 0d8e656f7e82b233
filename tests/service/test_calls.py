"""What a request brings."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from featmatch import Index
from featmatch.service.bodies import Bodies, BoundedBody
from featmatch.service.calls import Call, json_answer
from featmatch.service.metrics import Metrics
from featmatch.service.mounted import Mounted
from featmatch.service.options import ServeOptions
from featmatch.service.problems import Problem
from featmatch.service.slots import Slots
from featmatch.service.thumbnails import Thumbnails


def request_of(parts: Sequence[bytes], *, hangs: bool = False, **headers: str) -> Request:
    coming = iter(parts)

    async def receive() -> Message:
        part = next(coming, None)
        if part is None and hangs:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    listed = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"a=1", "headers": listed, "app": None}
    take = contextlib.ExitStack().enter_context(Bodies(1000).of_one())
    return Request(scope | {"path_params": {"id": "7", "wrong": "٣"}, "featmatch.take": take}, receive)


def call_of(index: Index, request: Request, most: int = 10, **options: Any) -> Call:
    mounted = Mounted(index, ServeOptions(**options), Slots(1, 1, 9), Thumbnails())
    return Call(Request(request.scope, BoundedBody(request, most)), mounted, Metrics(), None)


def code_of(coming: Any) -> str:
    with pytest.raises(Problem) as refused:
        asyncio.run(coming)
    return refused.value.code


def test_a_body_has_its_bounds(index: Index) -> None:
    assert asyncio.run(call_of(index, request_of([b"12345", b"67890"])).body()) == b"1234567890"
    assert code_of(call_of(index, request_of([b"12345", b"67890", b"1"])).body()) == "body_too_large"
    with pytest.raises(Problem, match="body_too_large"):
        call_of(index, request_of([], content_length="11"))
    assert call_of(index, request_of([], content_length="nonsense"))


def test_a_form_that_is_too_large_leaves_no_file_open(index: Index) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    request = request_of([head, b"x" * 100], content_type="multipart/form-data; boundary=b")
    assert code_of(call_of(index, request, most=100).form()) == "body_too_large"


def test_a_body_that_does_not_come_is_given_up(index: Index) -> None:
    slow = call_of(index, request_of([b"1"], hangs=True), body_timeout=0.01)
    assert code_of(slow.body()) == "bad_request"


def test_what_a_request_says(index: Index) -> None:
    call = call_of(index, request_of([], content_type="Image/PNG; charset=x"))
    assert (call.content_type, call.number(), call.query.text("a")) == ("image/png", 7, "1")
    with pytest.raises(Problem, match="no_such_image"):
        call.number("wrong")


def test_answers_are_ascii_and_quote_what_is_no_unicode() -> None:
    told = bytes(json_answer({"name": "caf\udce9", "other": "日"}).body)
    assert told.isascii()
    assert json.loads(told)["name_quoted"] == '"caf\\351"'
