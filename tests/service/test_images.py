"""The images of the index: listed, added, changed and removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock
from starlette.testclient import TestClient

from featmatch import Index
from tests.service.conftest import Serve, problem


def test_images_are_listed_by_number_a_page_at_a_time(client: TestClient, index: Index, drawn: list[Path]) -> None:
    first = client.get("/v1/images?limit=3").json()
    assert ([one["id"] for one in first["images"]], first["next"], first["total"]) == ([1, 2, 3], 3, 5)
    second = client.get(f"/v1/images?limit=3&after={first['next']}").json()
    assert ([one["id"] for one in second["images"]], second["next"]) == ([4, 5], None)
    record = next(index.images())
    assert first["images"][0] == {
        **vars(record), "names": [str(drawn[0])],
        "links": {"image": "/v1/images/1", "thumbnail": "/v1/images/1/thumbnail"},
    }  # fmt: skip
    assert client.get("/v1/images", params={"match": drawn[3].stem}).json()["images"][0]["id"] == 4
    assert client.get("/v1/images?format=png").json()["total"] == 5
    assert client.get("/v1/images?format=jpeg").json() == {"images": [], "next": None, "total": 0}
    assert client.get("/v1/images", params={"name": str(drawn[1])}).json()["images"][0]["id"] == 2
    assert problem(client.get("/v1/images?name=nobody&format=png")) == (400, "bad_request")
    assert client.get("/v1/images?name=nobody").json() == {"images": [], "next": None, "total": 0}


@pytest.mark.parametrize("query", ["limit=0", "after=-1", "match=!", "limit=1&limit=2"])
def test_a_page_that_cannot_be_meant_is_refused(client: TestClient, query: str) -> None:
    assert problem(client.get(f"/v1/images?{query}")) == (422, "invalid_value")


def test_words_that_are_looked_for_have_their_limit(client: TestClient) -> None:
    for words, status in (  # names are paths, and any folder may begin with an "a"
        ("qx " * 3300, 200), ("qx OR " * 1600, 200), ("qx* " * 2400, 200), ('"' * 9999, 422), ("NEAR(", 200),
        ("a:b\0", 200), ("a" * 10_000, 200), ("a" * 10_001, 422),
    ):  # fmt: skip
        listed = client.get("/v1/images", params={"match": words})
        found = client.post("/v1/search", json={"id": 1, "match": words})
        assert (listed.status_code, found.status_code) == (status, status), words[:9]
        if status == 200:
            assert (listed.json()["images"], found.json()["matches"]) == ([], [])


@pytest.mark.parametrize(
    "path",
    [
        "/page/..%2f..%2f..%2fetc/passwd", "/page/../../../etc/passwd", "/page/%2e%2e/%2e%2e/etc/passwd",
        "/page/..%5c..%5cetc%5cpasswd", "/v1/images/..%2f..%2fetc%2fpasswd", "/v1/images/1/../../../etc/passwd",
        "/v1/images/-1", "/v1/images/1%00", "/v1/images/\u0661", "/v1/images/1e0/thumbnail", "/v1/images/" + "9" * 5000,
        "/v1/queries/..%2f..%2fx/thumbnail", "/v1/jobs/..%2fj_1", "//etc/passwd", "/v1//images/1", "/%2e%2e/%2e%2e/",
    ],
)  # fmt: skip
def test_a_path_leads_to_no_file(client: TestClient, path: str) -> None:
    answer = client.get(f"http://localhost:8520{path}")
    assert problem(answer)[0] == 404
    assert "root:" not in answer.text


def test_one_image_has_its_content_as_tag(client: TestClient, index: Index) -> None:
    answer = client.get("/v1/images/2")
    tag = f'"{list(index.images())[1].sha256}"'
    assert (answer.status_code, answer.headers["etag"], answer.json()["id"]) == (200, tag, 2)
    assert client.get("/v1/images/2", headers={"If-None-Match": tag}).status_code == 304
    for number in ("99", "0", "x", "1e3", "9" * 30):
        assert problem(client.get(f"/v1/images/{number}")) == (404, "no_such_image")


def test_text_and_names_are_changed(writable: TestClient, index: Index, drawn: list[Path]) -> None:
    assert writable.patch("/v1/images/2", json={"text": "harbour"}).json()["text"] == "harbour"
    assert writable.get("/v1/images?match=harbour").json()["total"] == 1
    renamed = writable.patch("/v1/images/2", json={"rename": {str(drawn[1]): "two"}})
    assert (renamed.json()["names"], renamed.json()["text"]) == (["two"], "harbour")
    tag = f'"{renamed.json()["sha256"]}"'
    assert writable.patch("/v1/images/2", json={"text": "a"}, headers={"If-Match": tag}).status_code == 200
    stale = writable.patch("/v1/images/2", json={"text": "b"}, headers={"If-Match": '"other"'})
    assert problem(stale) == (412, "precondition_failed")
    for body, refusal in [
        ({}, (400, "bad_request")), ({"text": "a", "rename": {"two": "b"}}, (400, "bad_request")),
        ({"rename": "two"}, (422, "invalid_value")), ({"rename": {"nobody": "b"}}, (404, "no_such_image")),
        ({"rename": {"two": str(drawn[0])}}, (409, "name_taken")), ({"rename": {"two": ""}}, (422, "invalid_value")),
        ({"name": "b"}, (422, "unknown_field")),
    ]:  # fmt: skip
        assert problem(writable.patch("/v1/images/2", json=body)) == refusal
    assert problem(writable.patch("/v1/images/99", json={"text": "a"})) == (404, "no_such_image")
    half = writable.patch("/v1/images/2", content=b'{"text": "a\\ud83d"}', headers={"Content-Type": "application/json"})
    assert problem(half) == (422, "invalid_value")
    assert problem(writable.delete("/v1/images/2", headers={"If-Match": '"other"'})) == (412, "precondition_failed")
    index.refresh()
    assert [record.text for record in index.images() if record.id == 2] == ["a"]


def test_names_and_images_are_removed(writable: TestClient, index: Index, drawn: list[Path]) -> None:
    writable.post("/v1/images", files={"image": ("other", drawn[0].read_bytes())})
    assert writable.get("/v1/images/1").json()["names"] == [str(drawn[0]), "other"]
    assert writable.delete("/v1/images", params={"name": str(drawn[0])}).status_code == 204
    assert writable.get("/v1/images/1").json()["names"] == ["other"]
    told = writable.post("/v1/images/delete", json={"ids": [1, 2, 99], "names": [str(drawn[2]), "nobody"]})
    assert told.json() == {"removed": ["other", str(drawn[1]), str(drawn[2])], "missing": [99, "nobody"]}
    assert [one["id"] for one in writable.get("/v1/images").json()["images"]] == [4, 5]
    assert drawn[2].exists()
    assert problem(writable.delete("/v1/images?name=nobody")) == (404, "no_such_image")
    assert problem(writable.delete("/v1/images")) == (400, "bad_request")
    assert problem(writable.post("/v1/images/delete", json={"ids": ["1"]})) == (422, "invalid_value")
    assert problem(writable.post("/v1/images/delete", json={"names": [1]})) == (422, "invalid_value")


def test_a_service_that_only_reads_changes_nothing(client: TestClient, serve: Serve, drawn: list[Path]) -> None:
    content = drawn[5].read_bytes()
    for answer in (
        client.post("/v1/images", files={"image": content}), client.patch("/v1/images/1", json={"text": "a"}),
        client.delete("/v1/images/1"), client.delete("/v1/images", params={"name": str(drawn[0])}),
        client.post("/v1/images/delete", json={"ids": [1]}),
    ):  # fmt: skip
        assert problem(answer) == (403, "read_only")
    without = serve(writable=True)
    assert problem(without.post("/v1/images", files={"image": content})) == (403, "uploads_off")


def test_another_writer_is_told_of(writable: TestClient, index: Index, drawn: list[Path]) -> None:
    with FileLock(index.folder / "writer.lock"):
        answer = writable.delete("/v1/images/1")
        assert problem(answer) == (409, "writer_busy")
        assert answer.headers["retry-after"] == "1"
        added = writable.post("/v1/images", files={"image": ("a", drawn[5].read_bytes())})
        assert problem(added) == (409, "writer_busy")
    assert writable.delete("/v1/images/1").status_code == 204
