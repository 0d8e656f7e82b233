"""The description of the interface, in OpenAPI 3.1, made of the endpoints themselves; and one page to read it on."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

import featmatch
from featmatch.service.calls import Endpoint
from featmatch.service.problems import CODES
from featmatch.service.schemas import SCHEMAS

_PLACES = re.compile(r"\{(\w+)\}")
_NUMBERS = {"id", "a", "b", "n"}
_FILE: Mapping[str, Any] = {"type": "string", "format": "binary"}
_FORMS: Mapping[str, Mapping[str, Any]] = {
    "image": {
        "application/octet-stream": {"schema": _FILE},
        "multipart/form-data": {"schema": {"type": "object", "properties": {"image": _FILE}}},
    },
    "batch": {"multipart/form-data": {"schema": {"type": "object"}}},
}


def description(endpoints: Iterable[Endpoint], base: str = "") -> dict[str, Any]:
    """The OpenAPI document.

    Args:
        endpoints: all that there are.
        base: what the paths begin with.
    """
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "featmatch", "version": featmatch.__version__, "license": {"name": "MIT"}},
        "servers": [{"url": base or "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def page(document: Mapping[str, Any]) -> str:
    """The same for people: one page, with nothing from elsewhere."""
    rows = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            names = ", ".join(one["name"] for one in operation["parameters"])
            told = (method.upper(), path, operation["summary"], operation.get("x-scope", ""), names)
            rows.append("<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in told) + "</tr>")
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>featmatch API</title><h1>featmatch API</h1>"
        '<p>All of it, for programs: <a href="openapi.json">openapi.json</a></p>'
        "<table><tr><th>Method<th>Path<th>What it does<th>Scope<th>Parameters</tr>" + "".join(rows) + "</table></html>"
    )


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    places = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "minimum": 1} if name in _NUMBERS and "jobs" not in endpoint.path
            else {"type": "string"},
        }
        for name in _PLACES.findall(endpoint.path)
    ]  # fmt: skip
    options = [
        {"name": one.name, "in": "query", "required": False, "schema": dict(one.schema), "description": one.about}
        for one in endpoint.parameters
    ]
    told: dict[str, Any] = {
        "operationId": "_".join([endpoint.method.lower(), *re.findall(r"\w+", endpoint.path)]),
        "summary": endpoint.about,
        "parameters": places + options,
        "responses": _responses(endpoint),
    }
    if endpoint.scope is not None:
        told |= {"security": [{"key": []}], "x-scope": endpoint.scope}
    content = dict(_FORMS.get(endpoint.body, {}))
    if endpoint.takes is not None:
        content["application/json"] = {"schema": _named(endpoint.takes)}
    if content:
        told["requestBody"] = {"content": content}
    return told


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    responses: dict[str, Any] = {str(status): {"description": about} for status, about in endpoint.answers.items()}
    for answered, answer in responses.items() if endpoint.gives else ():
        schema = "Job" if answered == "202" else endpoint.gives or ""
        answer["content"] = {"application/json": {"schema": _named(schema)}}
    codes = {"unknown_field", "invalid_value", "stopping", "origin_refused", *endpoint.codes}
    if endpoint.scope is not None:
        codes |= {"key_missing", "key_unknown", "scope_missing"}
    if endpoint.body != "none":
        codes |= {"body_too_large", "bad_request"}
    problem = {"application/problem+json": {"schema": _named("Problem")}}
    for status in sorted({CODES[code][0] for code in codes}):
        those = sorted(code for code in codes if CODES[code][0] == status)
        responses[str(status)] = {"description": ", ".join(those), "content": problem}
    return responses


def _named(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
