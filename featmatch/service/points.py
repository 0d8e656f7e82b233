"""Points in pictures, as numbers: the features of an image, and the pairs of them that prove a match."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from featmatch.grouping.joining import stored_images
from featmatch.proof.proof import Proof
from featmatch.service.calls import Call, Endpoint, json_answer
from featmatch.service.pictures import OF_IMAGE, pair_of_files, proven
from featmatch.service.problems import Problem


async def features(call: Call) -> Response:
    """GET /v1/images/{id}/features."""
    call.query.end()
    number, mounted = call.number(), call.mounted
    await anyio.to_thread.run_sync(mounted.image, number)

    def read() -> list[list[float]]:
        snapshot = mounted.snapshot()
        (stored,) = stored_images(list(snapshot.segments.values()), [number], mounted.index.options.detector)
        return _rounded(np.column_stack([stored.features.keypoints, stored.features.sizes, stored.features.angles]))

    return json_answer({"features": await call.search(read)})


async def query_points(call: Call) -> Response:
    """GET /v1/queries/{qid}/matches/{id}/points."""
    call.query.end()
    query, number = call.mounted.queries.get(call.request.path_params["qid"]), call.number()
    if number not in query.proofs:
        raise Problem("no_such_image", "the query has no such match")
    return json_answer(_points(query.proofs[number]))


async def pair_points(call: Call) -> Response:
    """GET /v1/images/{a}/with/{b}/points."""
    call.query.end()
    one, other = await pair_of_files(call)
    return json_answer(await call.search(lambda: _points(proven(call.mounted, one, other))))


def _points(proof: Proof) -> dict[str, Any]:
    return {"points": _rounded(np.column_stack([proof.query_points, proof.reference_points]))}


def _rounded(columns: NDArray[np.floating[Any]]) -> list[list[float]]:
    rows: list[list[float]] = np.round(columns.astype(np.float64), 2).tolist()
    return rows


ENDPOINTS = (
    Endpoint("GET", "/v1/images/{id}/features", features, "The features of an image: x, y, size, px; angle, radians",
             answers={200: "A row each"}, codes=("no_such_image", "busy", "key_busy"), gives="Features"),
    Endpoint("GET", "/v1/queries/{qid}/matches/{id}/points", query_points,
             "The points that prove a match: x, y in the query, x, y in the image, px", answers={200: "A row each"},
             codes=("no_such_query", "query_expired", "no_such_image"), gives="Points"),
    Endpoint("GET", "/v1/images/{a}/with/{b}/points", pair_points,
             "The points that prove two images to be copies: x, y in each, px", answers={200: "A row each"},
             codes=OF_IMAGE, gives="Points"),
)  # fmt: skip
