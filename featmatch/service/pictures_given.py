"""The picture that a request is about: a body, a file of a form, or a reference in JSON."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from starlette.datastructures import FormData, UploadFile

from featmatch.images.addresses import FetchError
from featmatch.service.calls import Call
from featmatch.service.parameters import MOST_BODY, Parameters, parsed_object
from featmatch.service.problems import Problem

_PART_CHARACTERS = 1 << 20  # a multiple of 4
UNNAMED = "-"  # what the command line calls a picture from standard input
_SOURCES = ("id", "name", "url", "base64", "query")
_RAW = ("", "application/octet-stream", "application/x-www-form-urlencoded")  # the last is what curl says of any body


@dataclass(frozen=True)
class GivenPicture:
    """A picture to be looked at.

    Attributes:
        source: the bytes of its file, or the path of one.
        name: what the answer calls it.
        query_id: of an earlier query that it is of.
    """

    source: bytes | str
    name: str
    query_id: str | None = None


async def given_picture(call: Call, sources: Sequence[str] = _SOURCES) -> tuple[GivenPicture, Parameters]:
    """The one picture of a request, and the options beside it.

    Args:
        call: the request.
        sources: what may refer to the picture beside options; in an object ``image`` of its own, each may.

    Raises:
        Problem: there is none, or more than one; or it cannot be had.
    """
    kind = call.content_type
    if kind == "multipart/form-data":
        call.query.end()
        form = await call.form()
        (given,) = await _files_of(call, form, "image")
        return given, fields_of(form)
    if kind == "application/json":
        call.query.end()
        options = Parameters(parsed_object(await call.body()))
        inner = options.take("image")
        if inner is None:
            return await referred(call, options, sources), options
        members = _members(inner)
        given = await referred(call, members)
        members.end()
        return given, options
    if kind in _RAW or kind.startswith("image/"):
        content = await call.body()
        if not content:
            raise Problem("bad_request", "there is no image in the request")
        _check_size(call, content)
        return GivenPicture(content, UNNAMED), call.query
    raise Problem("unsupported_content_type", "image/*, application/octet-stream, multipart/form-data or JSON is taken")


async def given_pair(call: Call) -> tuple[GivenPicture, GivenPicture, Parameters]:
    """The two pictures ``a`` and ``b`` of a request, and the options beside them.

    Raises:
        Problem: as ``given_picture``.
    """
    kind = call.content_type
    if kind == "multipart/form-data":
        form = await call.form()
        a, b = await _files_of(call, form, "a", "b")
        return a, b, fields_of(form)
    if kind != "application/json":
        raise Problem("unsupported_content_type", "multipart/form-data or JSON is taken")
    options = Parameters(parsed_object(await call.body()))
    one, other = (_members(options.take(name)) for name in ("a", "b"))
    pair = await referred(call, one), await referred(call, other)
    for members in (one, other):
        members.end()
    return *pair, options


def fields_of(form: FormData) -> Parameters:
    """The fields of a form that are no files."""
    return Parameters.of_pairs((name, value) for name, value in form.multi_items() if isinstance(value, str))


async def referred(call: Call, members: Parameters, sources: Sequence[str] = _SOURCES) -> GivenPicture:
    """The picture that the members of a JSON object refer to.

    Raises:
        Problem: they refer to none or to several; or it cannot be had.
    """
    given = [name for name in sources if name in members]
    if len(given) != 1:
        raise Problem("bad_request", f"an image is one of {', '.join(sources)}; not {' and '.join(given) or 'none'}")
    (kind,) = given
    mounted = call.mounted
    if kind == "id":
        image = await anyio.to_thread.run_sync(mounted.image, members.whole("id", 0, 1, 1 << 62))
        return GivenPicture(await anyio.to_thread.run_sync(mounted.file_of, image), image.record.name)
    text = members.text(kind, MOST_BODY) or ""
    if kind == "name":
        image = await anyio.to_thread.run_sync(mounted.image_named, text)
        return GivenPicture(await anyio.to_thread.run_sync(mounted.file_of, image), text)
    if kind == "query":
        query = mounted.queries.get(text)
        return GivenPicture(query.source, query.name, text)
    if kind == "base64":
        content = await anyio.to_thread.run_sync(decoded, text)
        _check_size(call, content)
        return GivenPicture(content, UNNAMED)
    return GivenPicture(await fetched(call, text), text)


async def fetched(call: Call, url: str) -> bytes:
    """The picture at an address.

    Raises:
        Problem: it may not be fetched, or cannot be.
    """
    fetching = call.mounted.fetching
    try:
        with anyio.fail_after(fetching.seconds + 1):  # looking a name up has no limit of its own
            return await anyio.to_thread.run_sync(
                fetching.fetch, url, limiter=call.mounted.fetches, abandon_on_cancel=True
            )
    except FetchError as error:
        raise Problem(error.code, error.detail) from error
    except TimeoutError as error:
        raise Problem("fetch_failed", f"it took more than {fetching.seconds:g} seconds") from error


def decoded(text: str) -> bytes:
    """What base64 says. Part by part, so that other threads have their turn between them.

    Raises:
        Problem: it is none.
    """
    try:
        if "=" in text[:-2]:
            raise ValueError("the end in the midst")
        parts = (text[start : start + _PART_CHARACTERS] for start in range(0, len(text), _PART_CHARACTERS))
        return b"".join(base64.b64decode(part, validate=True) for part in parts)
    except (binascii.Error, ValueError) as error:
        raise Problem("invalid_value", "base64 cannot be decoded") from error


async def content_of(call: Call, file: UploadFile) -> bytes:
    """The bytes of a file of a form.

    Raises:
        Problem: it is too large.
    """
    content = await file.read()
    _check_size(call, content)
    return content


def _check_size(call: Call, content: bytes) -> None:
    most = call.mounted.options.max_upload
    if len(content) > most:
        raise Problem("body_too_large", f"an image has {most} bytes at most; this has {len(content)}")


async def _files_of(call: Call, form: FormData, *names: str) -> list[GivenPicture]:
    """One file of each name; others are refused."""
    files = [(part, value) for part, value in form.multi_items() if isinstance(value, UploadFile)]
    strange = sorted({part for part, _ in files} - set(names))
    if strange:
        raise Problem("unknown_field", f"unknown files: {', '.join(strange)[:200]}")
    given = []
    for name in names:
        own = [value for part, value in files if part == name]
        if len(own) != 1:
            raise Problem("bad_request", f"the form has {len(own)} files {name}; one is wanted")
        given.append(GivenPicture(await content_of(call, own[0]), own[0].filename or UNNAMED))
    return given


def _members(value: Any) -> Parameters:
    if not isinstance(value, Mapping):
        raise Problem("bad_request", "an image is a JSON object")
    return Parameters(value)
