"""The description of the interface."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from featmatch.service.app import Service
from featmatch.service.openapi import description, page


@pytest.fixture
def service(client: TestClient) -> Service:
    assert isinstance(client.app, Service)
    return client.app


def test_each_route_is_described_and_nothing_else(client: TestClient, service: Service) -> None:
    document = client.get("/openapi.json").json()
    told = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    routes = {
        (method, route.path)
        for route in service._routes(service.mounted[""])
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    for_people = {("GET", path) for path in ("/", "/page/{file}", "/openapi.json", "/docs")}
    assert routes - for_people == told
    assert len({operation["operationId"] for one in document["paths"].values() for operation in one.values()}) == len(
        told
    )


def test_places_and_refusals_of_paths_are_told(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            places = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert places == set(re.findall(r"\{(\w+)\}", path))
            assert operation["responses"]
    search = document["paths"]["/v1/search"]["post"]
    assert "busy" in search["responses"]["503"]["description"]
    assert "fetch_off" in search["responses"]["403"]["description"]
    assert search["x-scope"] == "read"
    assert "security" not in document["paths"]["/healthz/live"]["get"]


def test_every_option_that_is_described_is_taken(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    values = {"integer": "1", "number": "1", "boolean": "true", "string": "a"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for one in operation["parameters"]:
                if one["in"] == "query":
                    value = one["schema"].get("enum", [values[one["schema"]["type"]]])[0]
                    answer = client.request(method, re.sub(r"\{\w+\}", "1", path), params={one["name"]: value})
                    assert answer.headers["content-type"] != "application/problem+json" or (
                        answer.json()["code"] != "unknown_field"
                    ), (path, one["name"])


def test_the_page_is_plain_and_has_nothing_from_elsewhere(client: TestClient, service: Service) -> None:
    answer = client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "//" not in answer.text.replace("://", "")
    assert "/v1/search" in page(description(service.endpoints()))
