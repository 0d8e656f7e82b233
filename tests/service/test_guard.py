"""What every request passes."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from featmatch import Index
from featmatch.service.guard import JsonLines, TextLines
from featmatch.service.keys import new_key
from tests.service.conftest import Serve, problem


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8520", "127.0.0.1:99", "[::1]:8520", "LOCALHOST", "localhost."]
)
def test_the_server_goes_by_its_own_names(lasting: TestClient, host: str) -> None:
    assert lasting.get("/v1", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "[", "evil.example:8520", "169.254.169.254",
        "evil@localhost", "localhost@evil.example", "localhost/evil", "localhost?evil", "localhost#evil", "[localhost]",
        "localhost:port", "127.1", "2130706433", "[::ffff:127.0.0.1]", "::1",
    ],
)  # fmt: skip
def test_by_no_other_name(lasting: TestClient, host: str) -> None:
    assert problem(lasting.get("/v1", headers={"Host": host})) == (403, "origin_refused")


def test_what_strangers_call_their_methods_becomes_no_label(client: TestClient) -> None:
    for method in ("GET", "MADE-UP-1", "MADE-UP-2"):
        client.request(method, "/nowhere")
    told = client.get("/metrics").text
    assert 'method="GET",route="",status="404"' in told
    assert 'method="other"' in told
    assert "MADE-UP" not in told


def test_more_names_may_be_allowed(serve: Serve) -> None:
    client = serve(allowed_hosts=("Photos.example",))
    assert client.get("/v1", headers={"Host": "photos.example"}).status_code == 200
    assert problem(client.get("/v1", headers={"Host": "evil.example"})) == (403, "origin_refused")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:8520", True), ("https://localhost:8520", True), ("http://localhost", False),
        ("http://evil.example", False), ("null", False), ("file://localhost:8520", False), ("", False),
        ("http://[", False), ("http://a@localhost:8520", False),
    ],
)  # fmt: skip
def test_the_page_of_another_site_may_not_change_anything(lasting: TestClient, origin: str, allowed: bool) -> None:
    answer = lasting.post("/v1/search", content=b"", headers={"Origin": origin})
    assert problem(answer) == ((400, "bad_request") if allowed else (403, "origin_refused"))
    assert lasting.get("/v1", headers={"Origin": origin}).status_code == 200


def test_pages_of_sites_that_were_named_may_ask(serve: Serve) -> None:
    client = serve(cors=("https://page.example",))
    origin = {"Origin": "https://page.example"}
    assert problem(client.post("/v1/search", content=b"", headers=origin)) == (400, "bad_request")
    asked = client.options("/v1/search", headers={**origin, "Access-Control-Request-Method": "POST"})
    assert asked.headers["access-control-allow-origin"] == "https://page.example"
    other = client.options(
        "/v1/search", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert "access-control-allow-origin" not in other.headers


def test_each_answer_has_the_id_of_its_request(client: TestClient) -> None:
    assert client.get("/v1", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    made = client.get("/v1", headers={"X-Request-Id": "a b\x7f"}).headers["x-request-id"]
    assert len(made) == 16
    assert client.get("/v1").headers["x-content-type-options"] == "nosniff"


def test_paths_and_methods_that_are_none(client: TestClient) -> None:
    assert problem(client.get("/v2")) == (404, "no_such_route")
    assert problem(client.get("/v1/")) == (404, "no_such_route")
    refused = client.put("/v1/search")
    assert problem(refused) == (405, "method_not_allowed")
    assert refused.headers["allow"]


def keyed(tmp_path: Path) -> dict[str, dict[str, str]]:
    """A header for each scope."""
    file = tmp_path / "keys"
    return {scope: {"Authorization": f"Bearer {new_key(file, scope, scope)}"} for scope in ("read", "write", "admin")}


def test_keys_allow_what_their_scope_says(serve: Serve, tmp_path: Path) -> None:
    headers = keyed(tmp_path)
    client = serve(keys=tmp_path / "keys", writable=True)
    assert problem(client.get("/v1")) == (401, "key_missing")
    assert client.get("/v1").headers["www-authenticate"] == "Bearer"
    assert problem(client.get("/v1", headers={"Authorization": "Bearer fm_wrong"})) == (401, "key_unknown")
    assert problem(client.get("/v1", headers={"Authorization": "Basic YTpi"})) == (401, "key_missing")
    for path in ("/healthz/live", "/healthz/ready", "/openapi.json", "/docs"):
        assert client.get(path).status_code == 200
    for scope, answers in {"read": (200, 403, 403), "write": (200, 200, 403), "admin": (200, 200, 200)}.items():
        got = (
            client.get("/v1", headers=headers[scope]).status_code,
            client.post("/v1/images/delete", json={}, headers=headers[scope]).status_code,
            client.get("/v1/jobs", headers=headers[scope]).status_code,
        )
        assert got == answers, scope
    assert problem(client.get("/v1/jobs", headers=headers["read"])) == (403, "scope_missing")
    assert client.get("/v1", headers=headers["write"]).json()["scope"] == "write"


def test_a_body_is_not_read_for_somebody_without_a_key(serve: Serve, tmp_path: Path) -> None:
    keyed(tmp_path)
    client = serve(keys=tmp_path / "keys")
    read: list[bytes] = []

    def body() -> object:
        read.append(b"")
        yield b"x"

    assert problem(client.post("/v1/search", content=body())) == (401, "key_missing")  # type: ignore[arg-type]


def test_a_service_that_stops_refuses_what_is_new(serve: Serve) -> None:
    client = serve()
    client.app.stop()  # type: ignore[attr-defined]
    assert problem(client.get("/v1")) == (503, "stopping")
    assert problem(client.get("/healthz/ready")) == (503, "stopping")
    assert client.get("/healthz/live").status_code == 200


def test_a_mistake_of_ours_is_told_without_its_details(
    client: TestClient, index: Index, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(index, "refresh", broken)
    answer = client.get("/v1/images")
    assert problem(answer) == (500, "internal")
    assert "secret" not in answer.text
    assert "secret of the house" in caplog.text


def test_what_is_written_down_names_no_picture(
    client: TestClient, drawn: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "featmatch.service"):
        client.post(
            "/v1/search", files={"image": ("private.png", drawn[0].read_bytes())}, headers={"X-Request-Id": "r"}
        )
        client.get("/v1/images?name=private.png")
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    search = next(line for line in lines if line["route"] == "/v1/search")
    assert (search["event"], search["level"], search["request_id"], search["status"]) == ("request", "info", "r", 200)
    assert search["ms"] > 0
    assert search["bytes"] > 0
    assert set(search["stages"]) == {"decode", "extract", "words", "votes", "geometry", "pixels"}
    text = "\n".join([*map(json.dumps, lines), *(TextLines().format(record) for record in caplog.records)])
    assert "private" not in text
    assert "status=200" in text


def test_an_error_is_written_with_its_trace() -> None:
    try:
        raise ValueError("of this kind")
    except ValueError as error:
        record = logging.LogRecord(
            "a", logging.ERROR, "a", 1, "it failed", (), (ValueError, error, error.__traceback__)
        )
    told = json.loads(JsonLines().format(record))
    assert (told["level"], told["event"]) == ("error", "it failed")
    assert "of this kind" in told["error"]
    assert "of this kind" in TextLines().format(record)
