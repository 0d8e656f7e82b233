"""Sessions of browsers."""

from __future__ import annotations

from pathlib import Path

from featmatch.service.guard import COOKIE
from featmatch.service.keys import new_key
from tests.service.conftest import Serve, problem


def test_a_cookie_stands_for_a_key_until_the_session_ends(serve: Serve, tmp_path: Path) -> None:
    secret = new_key(tmp_path / "keys", "me", "write")
    client = serve(keys=tmp_path / "keys", prefix="/photos")
    assert problem(client.get("/photos/v1")) == (401, "key_missing")
    begun = client.post("/photos/v1/session", json={"key": secret})
    assert begun.json() == {"scope": "write", "key": "me"}
    cookie = begun.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/photos"))
    assert "Secure" not in cookie
    assert problem(client.post("/photos/v1/session?key=x", json={"key": secret})) == (422, "unknown_field")
    assert secret not in cookie
    assert client.get("/photos/v1").json()["scope"] == "write"
    token = client.cookies[COOKIE]
    assert client.delete("/photos/v1/session").status_code == 204
    client.cookies.set(COOKIE, token)
    assert problem(client.get("/photos/v1")) == (401, "key_unknown")
    tls = client.post("/photos/v1/session", json={"key": secret}, headers={"Origin": "https://localhost:8520"})
    assert "Secure" in tls.headers["set-cookie"]  # a proxy ends TLS before the service


def test_wrong_keys_begin_nothing(serve: Serve, tmp_path: Path) -> None:
    new_key(tmp_path / "keys", "me", "read")
    client = serve(keys=tmp_path / "keys")
    assert problem(client.post("/v1/session", json={"key": "fm_wrong"})) == (401, "key_unknown")
    assert problem(client.post("/v1/session", json={})) == (401, "key_missing")
    assert problem(client.post("/v1/session", json={"key": 3})) == (422, "invalid_value")
    cross = client.post("/v1/session", json={"key": "x"}, headers={"Origin": "https://evil.example"})
    assert problem(cross) == (403, "origin_refused")
    assert serve().post("/v1/session", json={}).json() == {"scope": "admin", "key": None}
