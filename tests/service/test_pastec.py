"""The addresses and answers of Pastec."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.service.conftest import Serve, problem


@pytest.fixture
def client(serve: Serve, tmp_path: Path) -> TestClient:
    return serve(writable=True, uploads=tmp_path / "uploads", compat=("pastec",))


def test_images_are_put_found_listed_and_removed(client: TestClient, drawn: list[Path]) -> None:
    content = drawn[5].read_bytes()
    added = client.put("/index/images/23", content=content)
    assert added.status_code == 200
    told = added.json()
    assert (told["type"], told["image_id"]) == ("IMAGE_ADDED", 23)
    assert told["nb_features_extracted"] > 8
    found = client.post("/index/searcher", content=content).json()
    assert (found["type"], found["image_ids"], found["tags"]) == ("SEARCH_RESULTS", [23], [""])
    assert found["bounding_rects"] == [{"x": 0, "y": 0, "width": 96, "height": 128}]
    assert found["scores"][0] > 3
    assert client.get("/index/imageIds").json() == {"type": "INDEX_IMAGE_IDS", "image_ids": [23]}
    replaced = client.put("/index/images/0023", content=drawn[6].read_bytes()).json()
    assert (replaced["type"], replaced["image_id"]) == ("IMAGE_ADDED", 23)
    assert client.post("/index/searcher", content=content).json()["image_ids"] == []
    assert client.delete("/index/images/23").json() == {"type": "IMAGE_REMOVED", "image_id": 23}
    assert client.delete("/index/images/23").json() == {"type": "IMAGE_NOT_FOUND"}


def test_images_that_are_no_numbers_are_not_theirs(client: TestClient, drawn: list[Path]) -> None:
    assert client.post("/index/searcher", content=drawn[0].read_bytes()).json()["image_ids"] == []
    assert client.get("/index/imageIds").json()["image_ids"] == []


def test_what_goes_wrong_is_said_in_their_words(client: TestClient) -> None:
    assert client.post("/", json={"type": "PING"}).json() == {"type": "PONG"}
    assert client.post("/", json={"type": "PUNG"}).json() == {"type": "MISFORMATTED_REQUEST"}
    assert client.put("/index/images/1", content=b"no picture").json() == {"type": "IMAGE_NOT_DECODED"}
    assert client.post("/index/searcher", content=b"no picture").json() == {"type": "IMAGE_NOT_DECODED"}
    assert client.post("/index/searcher", content=b"").json() == {"type": "MISFORMATTED_REQUEST"}
    assert client.post("/index/searcher", json={"uri": "x"}).json() == {"type": "MISFORMATTED_REQUEST"}
    address = {"url": "http://127.0.0.1/a.jpg"}
    assert client.post("/index/searcher", json=address).json() == {"type": "IMAGE_DOWNLOADER_HTTP_ERROR"}
    blank = b"P5 90 90 255\n" + bytes(8100)
    assert client.post("/index/searcher", content=blank).json() == {"type": "IMAGE_SIZE_TOO_SMALL"}
    assert client.put("/index/images/1", content=blank).json() == {"type": "IMAGE_SIZE_TOO_SMALL"}
    for kind, refused in (("LOAD", "INDEX_NOT_FOUND"), ("WRITE", "INDEX_NOT_WRITTEN"), ("CLEAR", "ERROR_GENERIC")):
        answer = client.post("/index/io", json={"type": kind})
        assert (answer.status_code, answer.json()) == (400, {"type": refused})
    assert client.put("/index/images/x", content=b"x").status_code == 404


def test_the_door_is_shut_unless_it_is_asked_for(serve: Serve) -> None:
    client = serve(writable=True)
    assert problem(client.post("/", json={"type": "PING"})) == (405, "method_not_allowed")  # the page stands there
    reading = serve(compat=("pastec",))
    assert problem(reading.put("/index/images/1", content=b"x")) == (403, "read_only")
