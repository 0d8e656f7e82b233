"""The schemas: each is used, each reference leads somewhere, and what is published as an example fits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator, meta
from starlette.testclient import TestClient

from featmatch.service.app import Service
from featmatch.service.openapi import description
from featmatch.service.schemas import SCHEMAS

# A search of docs and contract, with all that the command line prints first.
EXAMPLE = {
    "query": "piece.jpg", "status": "ok", "damaged": False,
    "matches": [{
        "id": 40, "name": "photos/shark.jpg", "probability": 0.996234, "score": 5.58, "inliers": 18,
        "agreement": 0.6002, "damaged": False,
        "relation": {"kind": "crop", "rotation_deg": 12.92, "scale": 0.9972, "mirrored": False, "negative": False},
        "homography": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "query_region": [[0, 0], [9, 0], [9, 9]],
        "reference_region": [[0, 0], [9, 0], [9, 9]], "query_overlap": 1.0, "reference_overlap": 0.1674,
        "verdict": None, "names": ["photos/shark.jpg"], "width": 500, "height": 333,
        "links": {"image": "/v1/images/40", "thumbnail": "/v1/images/40/thumbnail",
                  "proof": "/v1/queries/q_7Hs/matches/40/proof"},
    }],
    "query_id": "q_7Hs", "width": 188, "height": 147, "region": None,
    "times_ms": {"decode": 2, "extract": 41, "words": 9, "votes": 4, "geometry": 31, "pixels": 12},
    "index": {"images": 272, "generation": "g17"},
}  # fmt: skip


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": {"schemas": dict(SCHEMAS)}})


def test_each_schema_is_one_and_leads_somewhere(client: TestClient) -> None:
    service = client.app
    assert isinstance(service, Service)
    for schema in SCHEMAS.values():
        meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(description(service.endpoints()))))
    assert used == set(SCHEMAS)


def test_the_example_of_the_contract_fits() -> None:
    assert list(validator("Found").iter_errors(EXAMPLE)) == []
    assert list(validator("Found").iter_errors({**EXAMPLE, "matches": [{"id": 40}]}))


@pytest.mark.parametrize(
    ("name", "told", "fits"),
    [
        ("Search", {"id": 3, "limit": 5, "region": [0, 0, 9, 9]}, True),
        ("Search", {"id": 3, "limt": 5}, False),
        ("Verdicts", {"a": {"id": 1}, "b": {"name": "x"}, "verdict": None}, True),
        ("Verdicts", {"verdicts": [{"a": {"id": 1}, "b": {"id": 2}, "verdict": "perhaps"}]}, False),
        ("NewJob", {"kind": "add", "paths": ["/photos/2026"], "prune": False, "pages": False, "text": None}, True),
        ("NewJob", {"kind": "dance"}, False),
    ],
)
def test_requests_are_described(name: str, told: dict[str, Any], fits: bool) -> None:
    assert (not list(validator(name).iter_errors(told))) is fits


def test_answers_are_as_described(client: TestClient, drawn: list[Path]) -> None:
    found = client.post("/v1/search?all=true", content=drawn[0].read_bytes()).json()
    answers = {
        "Found": found,
        "Verified": client.post("/v1/verify", json={"a": {"id": 1}, "b": {"id": 2}}).json(),
        "Explained": client.post("/v1/explain", json={"image": {"id": 1}, "id": 2}).json(),
        "Images": client.get("/v1/images").json(),
        "About": client.get("/v1").json(),
        "Problem": client.get("/nowhere").json(),
    }
    assert found["matches"]
    for name, told in answers.items():
        assert list(validator(name).iter_errors(told)) == [], name
