"""Pictures of requests; the ways in which they are given are tested with the search itself."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from featmatch import Index
from featmatch.images.addresses import Fetching
from featmatch.service.pictures_given import decoded
from featmatch.service.problems import Problem
from tests.images.test_addresses import OF_THIS_NETWORK, PUBLIC, SPELLINGS, found, nowhere, said, site
from tests.service.conftest import Serve, problem


def test_base64_is_strict() -> None:
    assert decoded("YWI=") == b"ab"
    for wrong in ("YWI", "Y W I =", "#", "YWI=\n", "é"):
        with pytest.raises(Problem, match="invalid_value"):
            decoded(wrong)


@pytest.fixture
def fetching(serve: Serve, tmp_path: Path) -> TestClient:
    """Of a server that fetches what is public, and writes."""
    return serve(fetch=("public",), writable=True, uploads=tmp_path / "uploads", compat=("pastec", "matchengine"))


def through(client: TestClient, elsewhere: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a server reach another network."""
    (mounted,) = client.app.mounted.values()  # type: ignore[attr-defined]
    other = dataclasses.replace(
        mounted.fetching, look_up=elsewhere.look_up, connect=elsewhere.connect, most_bytes=1 << 20
    )
    monkeypatch.setattr(mounted, "fetching", other)


def test_no_way_in_fetches_what_is_no_public_address(
    fetching: TestClient, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mounted,) = fetching.app.mounted.values()  # type: ignore[attr-defined]
    monkeypatch.setattr(mounted, "fetching", dataclasses.replace(mounted.fetching, connect=nowhere))
    told = set()
    for url in (*SPELLINGS, *OF_THIS_NETWORK):
        answer = fetching.post("/v1/search", json={"url": url})
        assert problem(answer) == (422, "fetch_refused"), url
        told.add(answer.json()["detail"])
    assert told == {"The address may not be fetched"}  # one answer for all: it tells nothing of the network
    url = "http://169.254.169.254/"
    for path, body in (
        ("/v1/verify", {"a": {"url": url}, "b": {"id": 1}}), ("/v1/explain", {"url": url, "id": 1}),
        ("/v1/images", {"images": [{"url": url, "name": "a"}]}), ("/v1/search", {"image": {"url": url}}),
    ):  # fmt: skip
        assert problem(fetching.post(path, json=body)) == (422, "fetch_refused"), path
    batch = fetching.post("/v1/search/batch", json={"queries": [{"url": url}, {"id": 1}]})
    assert [json.loads(line)["status"] for line in batch.text.splitlines()] == ["fetch_refused", "ok"]
    assert fetching.post("/rest/search/", data={"url": url}).json()["error"]
    assert fetching.post("/rest/add/", data={"url": url}).json()["error"]
    assert fetching.post("/index/searcher", json={"url": url}).json()["type"] != "SEARCH_RESULTS"
    index.refresh()
    assert len(index) == 5


def test_a_picture_of_another_site_is_looked_at_as_any_other(
    fetching: TestClient, drawn: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = said("HTTP/1.1 200 OK\nContent-Type: text/html\nContent-Length: 30\n\n", b"<script>alert(1)</script>     ")
    away = said("HTTP/1.1 302 Found\nLocation: http://127.0.0.1/\nContent-Length: 0\n\n")
    endless = said("HTTP/1.1 200 OK\nContent-Length: 10000000000\n\n")
    answers = (found(drawn[0].read_bytes()), page, away, endless, found(b""))
    with site(*answers) as elsewhere:
        by_name = dataclasses.replace(
            elsewhere, look_up=lambda host, port: [PUBLIC if host == "pictures.example" else host]
        )
        through(fetching, by_name, monkeypatch)
        asked = [fetching.post("/v1/search", json={"url": "http://pictures.example/a.jpg"}) for _ in answers]
    assert [match["id"] for match in asked[0].json()["matches"]] == [1]
    assert [problem(answer) for answer in asked[1:]] == [
        (422, "decode_failed"), (422, "fetch_refused"), (413, "body_too_large"), (422, "decode_failed"),
    ]  # fmt: skip
    assert "script" not in asked[1].text
