"""Pictures: thumbnails, files, proofs and differences."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

import anyio.to_thread
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.responses import FileResponse, Response

from featmatch.geometry.maps import Matrix
from featmatch.images.pixels import load_display
from featmatch.names import split_page
from featmatch.proof.drawing import draw_proof
from featmatch.proof.pair import verify_apart
from featmatch.proof.proof import Proof
from featmatch.service.calls import Call, Endpoint, Parameter
from featmatch.service.mounted import Mounted
from featmatch.service.problems import Problem

SIZES = (160, 320, 640, 1280)
_FOR_EVER = "private, max-age=31536000, immutable"
_UNTIL_IT_IS_BACK = "private, no-cache"
_SHOWN_INLINE = {
    "JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif",
    "AVIF": "image/avif",
}  # fmt: skip


async def thumbnail(call: Call) -> Response:
    """GET /v1/images/{id}/thumbnail: of the file, or grey, of the picture in the index, where that is gone."""
    size = _size(call)
    form = "webp" if "image/webp" in call.request.headers.get("accept", "") else "jpeg"
    mounted = call.mounted
    image = await anyio.to_thread.run_sync(mounted.image, call.number())
    tag = f'"{image.record.sha256}-{size}"'
    headers = {"ETag": tag, "Cache-Control": _FOR_EVER, "Vary": "Accept"}
    if call.has(tag):
        return Response(status_code=304, headers=headers)
    key = f"{image.record.sha256}-{size}.{form}"
    content = await anyio.to_thread.run_sync(mounted.thumbnails.get, key)
    if content is None:
        try:
            path = await anyio.to_thread.run_sync(mounted.file_of, image)
        except Problem as problem:
            stored = mounted.snapshot().stored_picture(image.record.id) if problem.code == "file_gone" else None
            if stored is None:
                raise
            headers |= {"ETag": f'"{image.record.sha256}-{size}-grey"', "Cache-Control": _UNTIL_IT_IS_BACK}
            return Response(_encoded(_fitted(stored.pixels, size), form), media_type=f"image/{form}", headers=headers)
        content = await call.search(lambda: _encoded(_shown(mounted, path, size), form))
        await anyio.to_thread.run_sync(mounted.thumbnails.keep, key, content)
    return Response(content, media_type=f"image/{form}", headers=headers)


async def original(call: Call) -> Response:
    """GET /v1/images/{id}/file."""
    mounted = call.mounted
    if not mounted.options.files:
        raise Problem("files_off")
    image = await anyio.to_thread.run_sync(mounted.image, call.number())
    path = split_page(await anyio.to_thread.run_sync(mounted.file_of, image))[0]
    kind = _SHOWN_INLINE.get(image.record.format or "")
    return FileResponse(
        path,
        media_type=kind or "application/octet-stream",
        filename=os.path.basename(image.record.name).encode("utf-8", "replace").decode() or None,
        content_disposition_type="inline" if kind else "attachment",
        headers={"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"},
    )


async def query_thumbnail(call: Call) -> Response:
    """GET /v1/queries/{qid}/thumbnail."""
    size = _size(call)
    query, mounted = call.mounted.queries.get(call.request.path_params["qid"]), call.mounted
    content = await call.search(lambda: _encoded(_shown(mounted, query.source, size), "jpeg"))
    return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


async def query_proof(call: Call) -> Response:
    """GET /v1/queries/{qid}/matches/{id}/proof."""
    size = _size(call)
    source, reference, proof = await _of_query(call)
    return await _drawn(call, lambda: _proof(call.mounted, source, reference, proof, size))


async def query_difference(call: Call) -> Response:
    """GET /v1/queries/{qid}/matches/{id}/difference."""
    size, gain = _size_and_gain(call)
    source, reference, proof = await _of_query(call)
    return await _drawn(call, lambda: difference(call.mounted, source, reference, proof.homography, size, gain))


async def pair_proof(call: Call) -> Response:
    """GET /v1/images/{a}/with/{b}/proof."""
    size = _size(call)
    one, other = await pair_of_files(call)
    return await _drawn(call, lambda: _proof(call.mounted, one, other, proven(call.mounted, one, other), size))


async def pair_difference(call: Call) -> Response:
    """GET /v1/images/{a}/with/{b}/difference."""
    size, gain = _size_and_gain(call)
    one, other = await pair_of_files(call)

    def draw() -> NDArray[np.uint8]:
        return difference(call.mounted, one, other, proven(call.mounted, one, other).homography, size, gain)

    return await _drawn(call, draw)


def difference(
    mounted: Mounted, query: bytes | str, reference: bytes | str, reference_from_query: Matrix, size: int, gain: float
) -> NDArray[np.uint8]:
    """The absolute difference of two pictures in the frame of the first; black where the second shows nothing.

    Args:
        mounted: the index.
        query: the first picture.
        reference: the second.
        reference_from_query: (3, 3), px to px of the pictures as displayed.
        size: longer side, px.
        gain: by which differences are multiplied.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    decoding = mounted.options.decoding
    whole, other = (load_display(source, decoding=decoding) for source in (query, reference))
    shown = _fitted(whole, size)
    scale = np.array([whole.shape[1] / shown.shape[1], whole.shape[0] / shown.shape[0]])
    original_from_shown = np.array([[scale[0], 0, scale[0] / 2 - 0.5], [0, scale[1], scale[1] / 2 - 0.5], [0, 0, 1]])
    matrix = reference_from_query @ original_from_shown
    side = shown.shape[1], shown.shape[0]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpPerspective(other, matrix, side, flags=flags)
    there = cv2.warpPerspective(np.full(other.shape[:2], 255, np.uint8), matrix, side, flags=flags) == 255
    differing = np.abs(shown.astype(np.int16) - laid) * gain
    return np.where(there[:, :, None], np.minimum(differing, 255), 0).astype(np.uint8)


def _proof(mounted: Mounted, query: bytes | str, reference: bytes | str, proof: Proof, size: int) -> NDArray[np.uint8]:
    return _fitted(draw_proof(query, reference, proof, decoding=mounted.options.decoding), size)


def proven(mounted: Mounted, one: str, other: str) -> Proof:
    """The proof of two files.

    Raises:
        Problem: there is none.
    """
    found = verify_apart(one, other, mounted.options.decoding)
    if found.proof is None:
        raise Problem("no_such_image", "nothing relates these two images")
    return found.proof


async def _of_query(call: Call) -> tuple[bytes | str, str, Proof]:
    """The picture of a query, the file of one of its matches, and the proof."""
    query, number = call.mounted.queries.get(call.request.path_params["qid"]), call.number()
    if number not in query.proofs:
        raise Problem("no_such_image", "the query has no such match")
    image = await anyio.to_thread.run_sync(call.mounted.image, number)
    return query.source, await anyio.to_thread.run_sync(call.mounted.file_of, image), query.proofs[number]


async def pair_of_files(call: Call) -> tuple[str, str]:
    """The files of two images of the index.

    Raises:
        Problem: there is no such image, or its file is not at hand.
    """
    files = []
    for name in ("a", "b"):
        image = await anyio.to_thread.run_sync(call.mounted.image, call.number(name))
        files.append(await anyio.to_thread.run_sync(call.mounted.file_of, image))
    return files[0], files[1]


async def _drawn(call: Call, draw: Callable[[], NDArray[np.uint8]]) -> Response:
    content = await call.search(lambda: _encoded(draw(), "png"))
    return Response(content, media_type="image/png", headers={"Cache-Control": "private, no-store"})


def _size(call: Call) -> int:
    options = call.query
    size = options.choice("size", 640, SIZES)
    options.end()
    return int(size)


def _size_and_gain(call: Call) -> tuple[int, float]:
    options = call.query
    size, gain = options.choice("size", 640, SIZES), options.number("gain", 1.0, 1.0, 16.0)
    options.end()
    return int(size), gain


def _shown(mounted: Mounted, source: bytes | str, size: int) -> NDArray[np.uint8]:
    return load_display(source, longest_px=size, decoding=mounted.options.decoding)


def _fitted(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The picture with sides of at most ``size``."""
    shown = Image.fromarray(picture)
    shown.thumbnail((size, size), Image.Resampling.LANCZOS)
    return np.array(shown)


def _encoded(picture: NDArray[np.uint8], form: str) -> bytes:
    buffer = io.BytesIO()
    options: dict[str, Any] = {"png": {}, "jpeg": {"quality": 80, "optimize": True}, "webp": {"quality": 80}}[form]
    Image.fromarray(picture).save(buffer, form, **options)
    return buffer.getvalue()


_SIZE = Parameter("size", {"type": "integer", "enum": list(SIZES), "default": 640}, "longer side, px")
_GAIN = Parameter("gain", {"type": "number", "minimum": 1, "maximum": 16, "default": 1}, "of differences")
OF_IMAGE = ("no_such_image", "file_gone", "file_changed", "decode_failed", "busy", "key_busy")
_OF_QUERY = ("no_such_query", "query_expired", *OF_IMAGE)
_PICTURE = {200: "The picture"}
ENDPOINTS = (
    Endpoint("GET", "/v1/images/{id}/thumbnail", thumbnail, "An image, small", parameters=(_SIZE,), answers=_PICTURE,
             codes=OF_IMAGE),
    Endpoint("GET", "/v1/images/{id}/file", original, "The file of an image", answers=_PICTURE,
             codes=("files_off", *OF_IMAGE)),
    Endpoint("GET", "/v1/queries/{qid}/thumbnail", query_thumbnail, "The picture of a query, small",
             parameters=(_SIZE,), answers=_PICTURE, codes=_OF_QUERY),
    Endpoint("GET", "/v1/queries/{qid}/matches/{id}/proof", query_proof, "A match with its proof, drawn",
             parameters=(_SIZE,), answers=_PICTURE, codes=_OF_QUERY),
    Endpoint("GET", "/v1/queries/{qid}/matches/{id}/difference", query_difference, "Where a match differs",
             parameters=(_SIZE, _GAIN), answers=_PICTURE, codes=_OF_QUERY),
    Endpoint("GET", "/v1/images/{a}/with/{b}/proof", pair_proof, "Two images with their proof, drawn",
             parameters=(_SIZE,), answers=_PICTURE, codes=OF_IMAGE),
    Endpoint("GET", "/v1/images/{a}/with/{b}/difference", pair_difference, "Where two images differ",
             parameters=(_SIZE, _GAIN), answers=_PICTURE, codes=OF_IMAGE),
)  # fmt: skip
