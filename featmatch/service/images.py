"""The images of the index: listed, changed and removed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import anyio.to_thread
from starlette.responses import Response

from featmatch.adding.given_images import checked_name
from featmatch.service.calls import Call, Endpoint, Parameter, json_answer
from featmatch.service.mounted import Mounted
from featmatch.service.parameters import Parameters, parsed_object
from featmatch.service.problems import Problem
from featmatch.store.browsing import ListedImage, count_images, list_images
from featmatch.store.removal import remove_images
from featmatch.store.renaming import describe_image, rename_image
from featmatch.store.writing import become_writer

_MOST_LISTED = 1000
_MOST_REMOVED = 10_000


def image_object(mounted: Mounted, image: ListedImage) -> dict[str, Any]:
    """What is told of an image: the object of ``list --json``, all its names, and links."""
    return {**vars(image.record), "names": list(image.names), "links": mounted.links_of(image.record.id)}


async def list_all(call: Call) -> Response:
    """GET /v1/images."""
    options = call.query
    name, match, form = options.text("name"), options.text("match"), options.text("format")
    after, limit = options.whole("after", 0, 0, 1 << 62), options.whole("limit", 100, 1, _MOST_LISTED)
    options.end()
    if name is not None and (match, form) != (None, None):
        raise Problem("bad_request", "a name is asked for alone")
    mounted = call.mounted

    def listed() -> dict[str, Any]:
        catalog = mounted.snapshot().catalog
        if name is not None:
            try:
                found = [mounted.image_named(name)]
            except Problem:
                found = []
            return {"images": [image_object(mounted, one) for one in found], "next": None, "total": len(found)}
        page = list_images(catalog, after=after, limit=limit + 1, match=match, form=form)
        return {
            "images": [image_object(mounted, one) for one in page[:limit]],
            "next": page[limit - 1].record.id if len(page) > limit else None,
            "total": count_images(catalog, match=match, form=form),
        }

    return json_answer(await anyio.to_thread.run_sync(listed))


async def get_one(call: Call) -> Response:
    """GET /v1/images/{id}."""
    image = await anyio.to_thread.run_sync(call.mounted.image, call.number())
    tag = _tag_of(image)
    if call.has(tag):
        return Response(status_code=304, headers={"ETag": tag})
    return json_answer(image_object(call.mounted, image), headers={"ETag": tag})


def _tag_of(image: ListedImage) -> str:
    return f'"{image.record.sha256}"'


async def change(call: Call) -> Response:
    """PATCH /v1/images/{id}."""
    mounted, number = call.mounted, call.number()
    writer = mounted.must_write()
    options = Parameters(parsed_object(await call.body()))
    renaming, text = options.take("rename"), options.remark()
    options.end()
    if (renaming is None) == (text is None):
        raise Problem("bad_request", "either text or rename is wanted")

    def write() -> ListedImage:
        with become_writer(mounted.index):
            image = mounted.image(number)
            call.check_unchanged(_tag_of(image))
            if text is not None:
                describe_image(mounted.index, image, text)
            else:
                _rename(mounted, image, renaming)
        return mounted.image(number)

    return json_answer(image_object(mounted, await asyncio.wrap_future(writer.submit(write))))


def _rename(mounted: Mounted, image: ListedImage, renaming: Any) -> None:
    if not isinstance(renaming, dict) or len(renaming) != 1:
        raise Problem("invalid_value", 'rename is {"old name": "new name"}')
    ((old, new),) = renaming.items()
    if old not in image.names:
        raise Problem("no_such_image", "the image has no such name")
    if mounted.index.snapshot.catalog.content_named(checked_name(new)) is not None:
        raise Problem("name_taken")
    rename_image(mounted.index, old, new)


async def remove_one(call: Call) -> Response:
    """DELETE /v1/images/{id}."""
    options = call.query
    upload = options.flag("upload")
    options.end()
    number = call.number()

    def found() -> ListedImage:
        image = call.mounted.image(number)
        call.check_unchanged(_tag_of(image))
        return image

    await remove_from(call.mounted, found, upload=upload)
    return Response(status_code=204)


async def remove_named(call: Call) -> Response:
    """DELETE /v1/images?name=NAME: the name; the image with it, if it has no other."""
    options = call.query
    name, upload = options.text("name"), options.flag("upload")
    options.end()
    if name is None:
        raise Problem("bad_request", "a name is wanted")
    await remove_from(call.mounted, lambda: call.mounted.image_named(name), [name], upload=upload)
    return Response(status_code=204)


async def remove_from(
    mounted: Mounted, find: Callable[[], ListedImage], names: Sequence[str] | None = None, *, upload: bool
) -> None:
    """Remove names of an image from the index.

    Args:
        mounted: the index.
        find: finds the image, once nobody else writes.
        names: of it; None: all.
        upload: delete its uploaded file, too, if it has no name left.
    """

    def write() -> None:
        with become_writer(mounted.index):
            image = find()
            remove_images(mounted.index, names or image.names)
        gone = mounted.snapshot().catalog.image_with(image.record.sha256) is None
        if upload and gone and mounted.uploads is not None:
            mounted.uploads.remove(image.record.sha256)

    await asyncio.wrap_future(mounted.must_write().submit(write))


async def remove_many(call: Call) -> Response:
    """POST /v1/images/delete."""
    call.mounted.must_write()
    options = Parameters(parsed_object(await call.body()))
    ids, names = options.listed("ids") or [], options.listed("names") or []
    options.end()
    if not all(isinstance(one, int) and not isinstance(one, bool) and 0 < one < 1 << 62 for one in ids):
        raise Problem("invalid_value", "ids are numbers of images")
    if not all(isinstance(one, str) for one in names):
        raise Problem("invalid_value", "names are texts")
    if len(ids) + len(names) > _MOST_REMOVED:
        raise Problem("invalid_value", f"{_MOST_REMOVED} images at most are removed at a time")
    return json_answer(await remove_names(call.mounted, names, ids))


async def remove_names(mounted: Mounted, names: Sequence[str], ids: Sequence[int] = ()) -> dict[str, Any]:
    """Remove names, and all names of images by number, in one commit; say what was removed and what was not there."""
    writer = mounted.must_write()

    def write() -> dict[str, Any]:
        with become_writer(mounted.index):
            catalog = mounted.index.snapshot.catalog
            named = catalog.names_of(ids)
            there = [name for name in names if catalog.content_named(name) is not None]
            missing = [one for one in ids if not named[one]] + [name for name in names if name not in set(there)]
            removed = remove_images(mounted.index, [*(name for one in named.values() for name in one), *there])
        return {"removed": removed, "missing": missing}

    told: dict[str, Any] = await asyncio.wrap_future(writer.submit(write))
    return told


ENDPOINTS = (
    Endpoint(
        "GET", "/v1/images", list_all, "The images of the index",
        parameters=(
            Parameter("name", {"type": "string"}, "only the image of this name"),
            Parameter("match", {"type": "string"}, "only images with these words"),
            Parameter("format", {"type": "string"}, "only files of this format, as JPEG"),
            Parameter("after", {"type": "integer", "minimum": 0}, "what a page gave as next"),
            Parameter("limit", {"type": "integer", "minimum": 1, "maximum": _MOST_LISTED, "default": 100}),
        ), codes=("bad_request",), gives="Images"),
    Endpoint("GET", "/v1/images/{id}", get_one, "One image", codes=("no_such_image",), gives="ImageRecord"),
    Endpoint(
        "PATCH", "/v1/images/{id}", change, "Change the text of an image, or one of its names", "write", "object",
        codes=("read_only", "no_such_image", "name_taken", "writer_busy", "precondition_failed", "bad_request"),
        takes="ImageChange", gives="ImageRecord",
    ),
    Endpoint(
        "DELETE", "/v1/images/{id}", remove_one, "Remove an image from the index", "write",
        parameters=(Parameter("upload", {"type": "boolean"}, "delete its uploaded file, too"),),
        answers={204: "It is removed"}, codes=("read_only", "no_such_image", "writer_busy", "precondition_failed"),
    ),
    Endpoint(
        "DELETE", "/v1/images", remove_named, "Remove a name from the index", "write",
        parameters=(Parameter("name", {"type": "string"}), Parameter("upload", {"type": "boolean"})),
        answers={204: "It is removed"}, codes=("read_only", "no_such_image", "writer_busy", "bad_request"),
    ),
    Endpoint(
        "POST", "/v1/images/delete", remove_many, "Remove several images in one commit", "write", "object",
        answers={200: "What was removed, and what was not there"}, codes=("read_only", "writer_busy", "bad_request"),
        takes="Deletion", gives="Deleted",
    ),
)  # fmt: skip
