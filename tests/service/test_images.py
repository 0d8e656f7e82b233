"""The images of the index: listed, added, changed and removed."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

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
    assert client.get("/v1/images?name=nobody").json() == {"images": [], "next": None, "total": 0}


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "after=-1", "match=!", "limit=1&limit=2"])
def test_a_page_that_cannot_be_meant_is_refused(client: TestClient, query: str) -> None:
    assert problem(client.get(f"/v1/images?{query}")) == (422, "invalid_value")


def test_one_image_has_its_content_as_tag(client: TestClient, index: Index) -> None:
    answer = client.get("/v1/images/2")
    tag = f'"{list(index.images())[1].sha256}"'
    assert (answer.status_code, answer.headers["etag"], answer.json()["id"]) == (200, tag, 2)
    assert client.get("/v1/images/2", headers={"If-None-Match": tag}).status_code == 304
    for number in ("99", "0", "x", "1e3", "9" * 30):
        assert problem(client.get(f"/v1/images/{number}")) == (404, "no_such_image")


def test_an_image_that_is_added_is_found_by_the_next_request(
    writable: TestClient, index: Index, drawn: list[Path], tmp_path: Path
) -> None:
    content = drawn[5].read_bytes()
    answer = writable.post("/v1/images", files={"image": ("../six.png", content)}, data={"text": "of today"})
    assert (answer.status_code, answer.json()["added"]) == (201, [{"id": 6, "name": "../six.png"}])
    found = writable.post("/v1/search", content=content).json()["matches"]
    assert [match["id"] for match in found] == [6]
    assert writable.get("/v1/images/6").json()["text"] == "of today"
    again = writable.post("/v1/images", files={"image": ("../six.png", content)})
    assert (again.status_code, again.json()["skipped"]) == (200, [{"id": 6, "name": "../six.png"}])
    (kept,) = [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()]
    assert kept.read_bytes() == content
    assert writable.get("/v1/images/6/thumbnail").status_code == 200
    assert writable.delete("/v1/images/6?upload=true").status_code == 204
    assert not kept.exists()
    assert writable.post("/v1/search", content=content).json()["matches"] == []
    index.refresh()
    assert len(index) == 5


def test_several_images_are_one_commit_and_each_has_its_outcome(
    writable: TestClient, index: Index, drawn: list[Path], tmp_path: Path
) -> None:
    before = index.info().segments
    images = [("image", (path.name, path.read_bytes())) for path in drawn[5:8]]
    answer = writable.post(
        "/v1/images", files=[*images, ("image", ("bad.png", b"no picture"))], data={"name": ["a", "b", "c", "d"]}
    )
    told = answer.json()
    assert told["added"] == [{"id": 6, "name": "a"}, {"id": 7, "name": "b"}, {"id": 8, "name": "c"}]
    assert [(one["name"], one["status"]) for one in told["failed"]] == [("d", "decode_failed")]
    index.refresh()
    assert index.info().segments == before + 1
    assert len([path for path in (tmp_path / "uploads").rglob("*") if path.is_file()]) == 3


def test_images_come_in_json_too(serve: Serve, drawn: list[Path], tmp_path: Path) -> None:
    client = serve(writable=True, uploads=tmp_path / "uploads", allow_paths=(drawn[0].parent,))
    text = base64.b64encode(drawn[5].read_bytes()).decode()
    listed = [{"base64": text, "name": "five", "text": "one"}, {"path": str(drawn[6]), "text": "other"}]
    told = client.post("/v1/images", json={"images": listed}).json()
    assert [one["name"] for one in told["added"]] == ["five", str(drawn[6])]
    assert [client.get(f"/v1/images/{number}").json()["text"] for number in (6, 7)] == ["one", "other"]
    for path in ("/etc/passwd", f"{drawn[0].parent}/../../secret", "relative.png"):
        refused = client.post("/v1/images", json={"images": [{"path": path}]})
        assert problem(refused) == (403, "path_not_allowed")
    gone = client.post("/v1/images", json={"images": [{"path": str(drawn[0].parent / "gone.png")}]})
    assert problem(gone) == (410, "file_gone")


def test_a_name_that_is_taken(writable: TestClient, drawn: list[Path]) -> None:
    one, other = drawn[5].read_bytes(), drawn[6].read_bytes()

    def post(content: bytes, **data: str) -> Any:
        return writable.post("/v1/images", files={"image": ("a", content)}, data=data)

    assert post(one).status_code == 201
    assert post(other).json()["skipped"] == [{"id": 6, "name": "a"}]
    assert problem(post(other, on_conflict="fail")) == (409, "name_taken")
    assert post(one, on_conflict="fail").json()["skipped"] == [{"id": 6, "name": "a"}]
    assert post(other, on_conflict="replace").json()["added"] == [{"id": 7, "name": "a"}]
    assert problem(writable.get("/v1/images/6")) == (404, "no_such_image")
    assert problem(post(one, on_conflict="perhaps")) == (422, "invalid_value")


def test_who_does_not_want_to_wait_gets_a_job(writable: TestClient, drawn: list[Path]) -> None:
    files = [("image", ("a", drawn[5].read_bytes())), ("image", ("b", b"no picture"))]
    answer = writable.post("/v1/images", files=files, headers={"Prefer": "respond-async"})
    assert (answer.status_code, answer.json()["kind"]) == (202, "add")
    assert answer.headers["preference-applied"] == "respond-async"
    assert "event: done" in writable.get(f"{answer.headers['location']}/events").text
    told = writable.get(answer.headers["location"]).json()
    assert {name: told["progress"][name] for name in ("done", "total", "added", "failed")} == {
        "done": 2, "total": 2, "added": 1, "failed": 1,
    }  # fmt: skip
    assert told["failures"][0]["name"] == "b"
    assert writable.post("/v1/search", content=drawn[5].read_bytes()).json()["matches"][0]["id"] == 6
    taken = {"data": {"on_conflict": "fail"}, "headers": {"Prefer": "respond-async"}}
    refused = writable.post("/v1/images", files={"image": ("a", drawn[6].read_bytes())}, **taken)  # type: ignore[arg-type]
    assert "event: failed" in writable.get(f"{refused.headers['location']}/events").text


@pytest.mark.parametrize(
    ("request_of", "refusal"),
    [
        ({"content": b"x"}, (415, "unsupported_content_type")),
        ({"json": {"images": []}}, (400, "bad_request")),
        ({"json": {"images": [3]}}, (400, "bad_request")),
        ({"json": {"images": [{"name": "a"}]}}, (400, "bad_request")),
        ({"json": {"images": [{"base64": "", "url": "x"}]}}, (400, "bad_request")),
        ({"json": {"images": [{"base64": "AAAA"}]}}, (422, "invalid_value")),
        ({"json": {"images": [{"base64": "AAAA", "name": "a", "size": 3}]}}, (422, "unknown_field")),
        ({"json": {"images": [{"url": "https://example.org/"}]}}, (403, "fetch_off")),
        ({"files": {"image": b"x"}, "data": {"name": "a\0b"}}, (422, "invalid_value")),
        ({"files": {"image": b"x"}, "data": {"name": ["a", "b"]}}, (400, "bad_request")),
        ({"files": {"image": b"x"}, "data": {"text": "x" * 10_001}}, (422, "invalid_value")),
        ({"files": {"picture": b"x"}}, (422, "unknown_field")),
        ({"files": {"image": b"x"}, "data": {"other": "1"}}, (422, "unknown_field")),
    ],
)  # fmt: skip
def test_an_addition_that_cannot_be_meant_is_refused(
    writable: TestClient, index: Index, request_of: dict[str, Any], refusal: tuple[int, str]
) -> None:
    assert problem(writable.post("/v1/images", **request_of)) == refusal
    index.refresh()
    assert len(index) == 5


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
