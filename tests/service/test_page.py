"""The page, as it is handed to a browser."""

from __future__ import annotations

import re

from starlette.testclient import TestClient

from featmatch import Index
from featmatch.service.page import POLICY
from tests.service.conftest import Serve, problem


def test_the_page_and_its_parts_are_given_to_everybody(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:src|href)="(page/[^"]+)"', page.text)
    named += [f"page/{name}" for name in re.findall(r'url\("([^"]+)"\)', client.get("/page/page.css").text)]
    assert len(named) > 5
    for name in (*named, "page/en.json", "page/ja.json"):
        part = client.get(f"/{name}")
        assert part.status_code == 200, name
        assert part.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert problem(client.get("/page/index.htm"))[1] == "no_such_route"


def test_parts_come_packed_and_once(client: TestClient) -> None:
    packed = client.get("/page/app.js", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/page/app.js", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    again = client.get("/page/app.js", headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_each_index_has_a_page_of_its_own_below_its_name(serve: Serve, index: Index) -> None:
    client = serve(indexes={"shop": index, "": index}, prefix="/photos")
    assert client.get("/photos", follow_redirects=False).headers["location"] == "/photos/"
    assert client.get("/photos/shop", follow_redirects=False).headers["location"] == "/photos/shop/"
    assert client.get("/photos/shop/").text == client.get("/photos/").text
    only = serve(indexes={"shop": index})
    assert only.get("/", follow_redirects=False).headers["location"] == "/shop/"
