"""What requests and answers look like, as JSON Schema: the components of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featmatch.features.forms import FORMS
from featmatch.service.problems import CODES

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_FLAG: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "number"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_ID: Schema = {"type": "integer", "minimum": 1}
_POLYGON: Schema = {"type": "array", "items": {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}}
_MATRIX: Schema = {
    "type": "array", "minItems": 3, "maxItems": 3,
    "items": {"type": "array", "items": _NUMBER, "minItems": 3, "maxItems": 3},
}  # fmt: skip
_ROWS: Schema = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
_LINKS: Schema = {"type": "object", "additionalProperties": _TEXT}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _listed(name: str) -> Schema:
    return {"type": "array", "items": _ref(name)}


def _object(properties: Mapping[str, Schema], *, optional: tuple[str, ...] = (), closed: bool = False) -> Schema:
    """An object with these members; only requests refuse others."""
    required = [name for name in properties if name not in optional]
    told: dict[str, Any] = {"type": "object", "properties": dict(properties), "required": required}
    return {**told, "additionalProperties": False} if closed else told


_SOURCES: Mapping[str, Schema] = {
    "id": _ID, "name": _TEXT, "url": {"type": "string", "format": "uri"},
    "base64": {"type": "string", "contentEncoding": "base64"}, "query": _TEXT,
}  # fmt: skip
_SEARCH: Mapping[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    "all": _FLAG,
    "match": _TEXT,
    "min_probability": _SHARE,
    "region": {"anyOf": [{"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 4}, _POLYGON]},
    "forms": {"enum": list(FORMS)},
    "explain": _FLAG,
}
_MATCH: Mapping[str, Schema] = {
    "id": _ID, "name": _TEXT, "probability": _SHARE, "score": _NUMBER, "inliers": _COUNT,
    "agreement": _or_null(_NUMBER), "relation": _ref("Relation"), "homography": _MATRIX, "query_region": _POLYGON,
    "reference_region": _POLYGON, "query_overlap": _SHARE, "reference_overlap": _SHARE,
    "verdict": {"enum": ["accepted", "rejected", None]}, "damaged": _FLAG, "width": _ID, "height": _ID,
}  # fmt: skip
_IIIF = _object({"canvas": _TEXT, "label": _TEXT, "image": _TEXT, "region": _or_null(_TEXT)})
_SIDE = _object({"id": _ID, "name": _TEXT}, optional=("id", "name"), closed=True)
_VERDICT = _object({"a": _SIDE, "b": _SIDE, "verdict": {"enum": ["accepted", "rejected", None]}}, closed=True)
_FAILURE = _object({"name": _TEXT, "status": _TEXT, "detail": _TEXT})
_NAMED = _object({"id": _or_null(_ID), "name": _TEXT})

SCHEMAS: Mapping[str, Schema] = {
    "Image": {**_object(_SOURCES, optional=tuple(_SOURCES)), "description": "One image: exactly one of these."},
    "Search": _object(
        {**_SOURCES, "image": _ref("Image"), **_SEARCH}, optional=(*_SOURCES, "image", *_SEARCH), closed=True
    ),
    "Batch": _object({"queries": _listed("Image"), **_SEARCH}, optional=tuple(_SEARCH), closed=True),
    "Pair": _object(
        {"a": _ref("Image"), "b": _ref("Image"), "forms": {"enum": list(FORMS)}}, optional=("forms",), closed=True
    ),
    "Explain": _object(
        {"image": _ref("Image"), **_SOURCES}, optional=("image", *_SOURCES), closed=True
    ),
    "NewImages": _object(
        {
            "images": {"type": "array", "minItems": 1, "maxItems": 64, "items": _object(
                {"url": _TEXT, "base64": _TEXT, "path": _TEXT, "name": _TEXT, "text": _TEXT},
                optional=("url", "base64", "path", "name", "text"), closed=True,
            )},
            "on_conflict": {"enum": ["skip", "replace", "fail"]},
        },
        optional=("on_conflict",), closed=True,
    ),
    "ImageChange": _object(
        {"text": _TEXT, "rename": {"type": "object", "additionalProperties": _TEXT}}, optional=("text", "rename"),
        closed=True,
    ),
    "Deletion": _object(
        {"ids": {"type": "array", "items": _ID}, "names": _TEXTS}, optional=("ids", "names"), closed=True
    ),
    "NewJob": _object(
        {"kind": {"enum": ["add", "groups", "compact", "check"]}, "paths": _TEXTS, "prune": _FLAG, "pages": _FLAG,
         "text": _or_null(_TEXT)},
        optional=("paths", "prune", "pages", "text"), closed=True,
    ),
    "Verdicts": {"anyOf": [_VERDICT, _object({"verdicts": {"type": "array", "items": _VERDICT}}, closed=True)]},
    "GroupVerdict": _object({"verdict": {"enum": ["rejected"]}}, optional=("verdict",), closed=True),
    "Session": _object({"key": _TEXT}, optional=("key",), closed=True),
    "Relation": _object(
        {"kind": _TEXT, "rotation_deg": _NUMBER, "scale": _NUMBER, "mirrored": _FLAG, "negative": _FLAG}
    ),
    "Match": _object({**_MATCH, "names": _TEXTS, "links": _LINKS, "iiif": _IIIF}, optional=("iiif",)),
    "Found": _object(
        {
            "query": _TEXT, "status": {"enum": ["ok", "too_little_detail"]}, "damaged": _FLAG,
            "matches": _listed("Match"), "related": _listed("Match"), "width": _ID, "height": _ID,
            "region": _or_null({"type": "array"}),
            "times_ms": {"type": "object", "additionalProperties": _NUMBER},
            "index": _object({"images": _COUNT, "generation": _TEXT}), "query_id": _TEXT, "features": _COUNT,
        },
        optional=("related", "features"),
    ),
    "Points": _object({"points": _ROWS}),
    "Features": _object({"features": _ROWS}),
    "Verified": _object(
        {"verified": _FLAG, "reason": _TEXT, "query_damaged": _FLAG,
         **{name: _or_null(schema) for name, schema in _MATCH.items()}}
    ),
    "Explained": _object({"query": _TEXT, "name": _TEXT, "proven": _FLAG, "lost": _or_null(_TEXT), "verdict": _TEXT,
                          "options": _TEXTS}),
    "ImageRecord": _object(
        {
            "id": _ID, "name": _TEXT, "bytes": _COUNT, "mtime_ns": {"type": "integer"}, "sha256": _TEXT, "width": _ID,
            "height": _ID, "features": _COUNT, "names": _TEXTS, "links": _LINKS,
            **{name: _or_null(_TEXT) for name in ("text", "format", "taken", "camera", "caption")},
        }
    ),
    "Images": _object({"images": _listed("ImageRecord"), "next": _or_null(_ID), "total": _COUNT}),
    "Added": _object(
        {"added": {"type": "array", "items": _NAMED}, "skipped": {"type": "array", "items": _NAMED},
         "failed": {"type": "array", "items": _FAILURE}, "damaged": _TEXTS}
    ),
    "Deleted": _object({"removed": _TEXTS, "missing": {"type": "array"}}),
    "Job": _object(
        {
            "id": _TEXT, "kind": _TEXT,
            "state": {"enum": ["queued", "running", "done", "failed", "cancelled", "interrupted"]},
            "created": _TEXT, "started": _or_null(_TEXT), "ended": _or_null(_TEXT),
            "progress": _object(dict.fromkeys(("done", "total", "added", "skipped", "failed"), _COUNT)),
            "failures": {"type": "array", "items": _FAILURE}, "error": _or_null(_TEXT),
        }
    ),
    "Jobs": _object({"jobs": _listed("Job")}),
    "Failures": _object({"failures": {"type": "array", "items": _FAILURE}, "next": _or_null(_COUNT)}),
    "Groups": _object(
        {"groups": {"type": "array", "items": {"type": "object"}}, "next": _or_null(_ID), "total": _COUNT,
         "totals": _object(dict.fromkeys(("groups", "files", "bytes_in_copies"), _COUNT)), "made": _TEXT,
         "behind": _COUNT}
    ),
    "About": _object({"name": _TEXT, "version": _TEXT, "index": {"type": "object"}, "scope": _TEXT, "scopes": _TEXTS,
                      "key": _or_null(_TEXT), "can": {"type": "object"}, "limits": {"type": "object"}}),
    "Problem": _object(
        {"type": {"type": "string", "format": "uri-reference"}, "title": _TEXT, "status": {"type": "integer"},
         "detail": _TEXT, "code": {"type": "string", "enum": sorted(CODES)}, "request_id": _TEXT}
    ),
}  # fmt: skip
