"""Images that are added over HTTP."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from starlette.testclient import TestClient

from featmatch import Index
from featmatch.service.guard import JsonLines, log
from featmatch.service.keys import new_key
from tests.service.conftest import Serve, problem


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


MARKUP = "<img src=x onerror=alert(1)>\"'\r\nX: y.png"


def test_markup_in_names_and_captions_is_text_in_every_view(
    serve: Serve, drawn: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level("INFO", "featmatch.service")
    client = serve(writable=True, uploads=tmp_path / "uploads", files=True)
    exif = Image.Exif()
    exif[0x010E] = MARKUP
    buffer = io.BytesIO()
    Image.open(drawn[5]).save(buffer, "JPEG", exif=exif, quality=95)
    content = {"image": ("x.jpg", buffer.getvalue())}
    added = client.post("/v1/images", files=content, data={"name": MARKUP, "text": MARKUP})
    assert added.json()["added"] == [{"id": 6, "name": MARKUP}]
    answers = [
        added, client.get("/v1/images/6"), client.get("/v1/images"), client.get("/v1/images", params={"name": MARKUP}),
        client.post("/v1/search", files={"image": (MARKUP, buffer.getvalue())}), client.get("/docs"),
        client.post("/v1/explain", json={"image": {"id": 6}, "name": MARKUP}), client.get("/errors"),
        client.get("/v1/images/6/file"), client.get("/v1/images/6/thumbnail"), client.get(f"/{quote(MARKUP)}"),
        client.get("/v1/images", params={MARKUP: MARKUP}), client.get("/metrics"), client.get("/openapi.json"),
    ]  # fmt: skip
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "x" not in answer.headers
        kind = answer.headers["content-type"]
        assert "html" not in kind or "onerror" not in answer.text
        if "json" in kind:
            assert answer.json() is not None
    assert answers[1].json()["names"] == [MARKUP]
    assert b"onerror" not in answers[9].content
    lines = [JsonLines().format(record) for record in caplog.records]
    assert len(lines) >= len(answers)
    assert "onerror" not in "".join(lines)
    assert client.post("/v1/images/delete", json={"names": [MARKUP]}).json()["removed"] == [MARKUP]


def test_as_many_images_as_may_be_have_each_its_name(writable: TestClient) -> None:
    files = [("image", ("x", b"no picture"))] * 64
    names = [f"n{number}" for number in range(64)]
    answer = writable.post("/v1/images", files=files, data={"name": names, "text": "t", "on_conflict": "skip"})
    assert [one["name"] for one in answer.json()["failed"]] == names
    refused = writable.post("/v1/images", files=files, data={"name": names, "text": "t", "more": ["1", "2"]})
    assert problem(refused) == (400, "bad_request")


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


def test_whoever_may_write_sees_the_jobs_of_its_own_key(serve: Serve, drawn: list[Path], tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    anna, paul = ({"Authorization": f"Bearer {new_key(keys, name, 'write')}"} for name in ("anna", "paul"))
    all_of_them = {"Authorization": f"Bearer {new_key(keys, 'boss', 'admin')}"}
    client = serve(writable=True, uploads=tmp_path / "uploads", keys=keys)
    asked = client.post(
        "/v1/images", files={"image": ("a", drawn[5].read_bytes())}, headers={**anna, "Prefer": "respond-async"}
    )
    place = asked.headers["location"]
    assert client.get(f"{place}/events", headers=anna).text.rstrip().split("event: ")[-1].startswith("done")
    assert client.get(place, headers=all_of_them).json()["progress"]["added"] == 1
    assert problem(client.get(place, headers=paul)) == (403, "scope_missing")
    assert problem(client.get("/v1/jobs", headers=anna)) == (403, "scope_missing")
