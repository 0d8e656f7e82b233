"""The addresses and answers of TinEye's MatchEngine."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.service.conftest import Serve, problem


@pytest.fixture
def client(serve: Serve, tmp_path: Path) -> TestClient:
    return serve(writable=True, uploads=tmp_path / "uploads", compat=("matchengine",))


def results(answer: Any, method: str) -> list[Any]:
    told = answer.json()
    assert answer.status_code == 200
    assert {name: told[name] for name in ("status", "error", "method")} == {
        "status": "ok", "error": [], "method": method,
    }  # fmt: skip
    found: list[Any] = told["result"]
    return found


def failure(answer: Any) -> tuple[int, str]:
    told = answer.json()
    assert (told["status"], told["result"], len(told["error"])) == ("fail", [], 1)
    return answer.status_code, told["method"]


def test_images_are_added_found_counted_listed_and_deleted(client: TestClient, drawn: list[Path]) -> None:
    one, other = (path.read_bytes() for path in drawn[5:7])
    files = [("images[0]", ("x", one)), ("images[1]", ("y", other))]
    paths = {"filepaths[0]": "a/one", "filepaths[1]": "two"}
    assert results(client.post("/rest/add/", files=files, data=paths), "add") == []
    assert results(client.post("/rest/add/", files={"image": ("three.png", one)}), "add") == []
    assert results(client.get("/rest/count/"), "count") == [8]
    assert results(client.get("/rest/list/?offset=5&limit=2"), "list") == ["a/one", "three.png"]
    buffer = io.BytesIO()
    Image.open(drawn[6]).crop((0, 0, 96, 64)).save(buffer, "PNG")
    (match,) = results(client.post("/rest/search/", files={"image": buffer.getvalue()}), "search")
    assert match["filepath"] == "two"
    assert match["score"] > 80
    assert match["query_overlap_percent"] > 95
    assert 45 < match["target_overlap_percent"] < 55
    assert match["match_percent"] == match["query_overlap_percent"]
    assert match["overlay"].startswith("overlay/?m11=")
    by_path = results(client.post("/rest/search/", data={"filepath": "two", "min_score": "50", "limit": "1"}), "search")
    assert [found["filepath"] for found in by_path] == ["two"]
    assert results(client.post("/rest/search", data={"filepath": "two", "offset": "1"}), "search") == []
    assert results(client.post("/rest/delete/", data={"filepaths[0]": "a/one", "filepaths[1]": "two"}), "delete") == []
    assert results(client.delete("/rest/delete/", params={"filepath": "three.png"}), "delete") == []
    assert results(client.get("/rest/count"), "count") == [5]
    assert results(client.get("/rest/ping/"), "ping") == []


def test_two_images_are_compared(client: TestClient, drawn: list[Path]) -> None:
    pair = {"image1": ("a", drawn[5].read_bytes()), "image2": ("b", drawn[5].read_bytes())}
    (same,) = results(client.post("/rest/compare/", files=pair), "compare")
    assert (same["filepath"], same["match_percent"]) == ("b", 100.0)
    unlike = {"filepath1": str(drawn[0]), "filepath2": str(drawn[1])}
    assert results(client.post("/rest/compare/", data=unlike), "compare") == []


@pytest.mark.parametrize(
    ("method", "asked", "status"),
    [
        ("search", {"files": {"image": b"no picture"}}, 422), ("search", {"data": {"limit": "1"}}, 400),
        ("search", {"files": {"image": b"x"}, "data": {"limit": "x"}}, 422),
        ("search", {"files": {"image": b"x"}, "data": {"colour": "x"}}, 422),
        ("search", {"data": {"filepath": "nobody"}}, 404), ("compare", {"data": {"filepath1": "nobody"}}, 404),
        ("add", {"data": {"filepath": "a"}}, 400), ("add", {"files": {"image": b"no picture"}}, 422),
        ("add", {"files": {"image": b"x"}, "data": {"filepaths": ["a", "b"]}}, 400),
        ("delete", {"data": {"filepath": "nobody"}}, 404), ("delete", {}, 400),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_told_in_their_envelope(
    client: TestClient, method: str, asked: dict[str, Any], status: int
) -> None:
    assert failure(client.post(f"/rest/{method}/", **asked)) == (status, method)


def test_the_door_is_shut_unless_it_is_asked_for(serve: Serve) -> None:
    assert problem(serve().get("/rest/ping/")) == (404, "no_such_route")
    reading = serve(compat=("matchengine", "pastec"))
    assert problem(reading.post("/rest/add/", files={"image": b"x"})) == (403, "read_only")
    assert reading.get("/rest/ping/").status_code == 200
