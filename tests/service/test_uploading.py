"""Images that are added over HTTP."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
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


MARKUP = "<img src=x onerror=alert(1)>\"';\r\nX: y\r\n\r\nevent: done\r\n\u202e</script>.png"


def with_markup(path: Path, **options: Any) -> bytes:
    """A picture as JPEG, with markup in what its EXIF says of description, camera, artist and rights."""
    exif = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0110, 0x013B, 0x8298):
        exif[tag] = MARKUP.replace("\u202e", "")
    buffer = io.BytesIO()
    Image.open(path).save(buffer, "JPEG", exif=exif, quality=95, **options)
    return buffer.getvalue()


def test_markup_in_names_captions_and_exif_is_text_in_every_view(
    serve: Serve, drawn: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level("INFO", "featmatch.service")
    client = serve(writable=True, uploads=tmp_path / "uploads", files=True, compat=("matchengine",))
    content, copy = with_markup(drawn[5]), with_markup(drawn[5], progressive=True)
    added = client.post("/v1/images", files={"image": ("x.jpg", content)}, data={"name": MARKUP, "text": MARKUP})
    assert added.json()["added"] == [{"id": 6, "name": MARKUP}]
    client.post("/v1/images", files={"image": (MARKUP, copy)}, data={"name": "copy"})
    both = [("image", (MARKUP, content)), ("image", ("b", b"no picture"))]
    job = client.post(
        "/v1/images", files=both, data={"name": ["a", f"b{MARKUP}"]}, headers={"Prefer": "respond-async"}
    ).headers["location"]
    made = client.post("/v1/jobs", json={"kind": "groups"}).headers["location"]
    assert "event: done" in client.get(f"{made}/events").text
    client.put("/v1/verdicts", json={"a": {"id": 6}, "b": {"id": 1}, "verdict": "rejected"})
    answers = {
        "added": added, "image": client.get("/v1/images/6"), "images": client.get("/v1/images"),
        "named": client.get("/v1/images", params={"name": MARKUP}),
        "search": client.post("/v1/search", files={"image": (MARKUP, content)}),
        "batch": client.post("/v1/search/batch", files=both),
        "verify": client.post("/v1/verify", files={"a": (MARKUP, content), "b": (MARKUP, copy)}),
        "explain": client.post("/v1/explain", json={"image": {"id": 6}, "name": MARKUP}),
        "groups": client.get("/v1/groups"), "verdicts": client.get("/v1/verdicts"), "job": client.get(job),
        "failures": client.get(f"{job}/failures"), "events": client.get(f"{job}/events"),
        "list": client.get("/rest/list/"), "file": client.get("/v1/images/6/file"),
        "thumbnail": client.get("/v1/images/6/thumbnail"), "proof": client.get("/v1/images/6/with/7/proof"),
        "nowhere": client.get(f"/{quote(MARKUP)}"), "field": client.get("/v1/images", params={MARKUP: MARKUP}),
        "part": client.post("/v1/search", files={MARKUP: b"x"}),
        "kind": client.get("/v1/groups", params={"kind": MARKUP}),
        "query": client.get(f"/v1/queries/{quote(MARKUP, safe='')}/thumbnail"), "page": client.get("/"),
        "docs": client.get("/docs"), "errors": client.get("/errors"), "metrics": client.get("/metrics"),
        "openapi": client.get("/openapi.json"), "asked": client.get("/v1", headers={"X-Request-Id": "<onerror>"}),
    }  # fmt: skip
    for view, answer in answers.items():
        assert answer.headers["x-content-type-options"] == "nosniff", view
        assert not {"x", "event"} & set(answer.headers), view
        assert "onerror" not in "".join(
            value for name, value in answer.headers.items() if name != "content-disposition"
        )
        kind = answer.headers["content-type"]
        if kind in ("application/json", "application/problem+json"):
            assert answer.json() is not None
        elif view not in ("file", "batch", "events"):
            assert b"onerror" not in answer.content, view
    told = answers["image"].json()
    assert (told["names"], told["text"]) == ([MARKUP, "a"], MARKUP)
    assert "onerror" in told["camera"]
    members = answers["groups"].json()["groups"][0]["members"]
    assert MARKUP in [name for member in members for name in member["names"]]
    assert [json.loads(line)["query"][:4] for line in answers["batch"].text.splitlines()] == ["<img", "b"]
    assert answers["events"].text.count("\nevent: ") == answers["events"].text.count("id: ") == 1
    assert answers["failures"].json()["failures"][0]["name"] == f"b{MARKUP}"
    name = os.path.basename(MARKUP)
    assert answers["file"].headers["content-disposition"] == f"inline; filename*=utf-8''{quote(name)}"
    assert answers["file"].headers["content-security-policy"] == "sandbox"
    lines = [JsonLines().format(record) for record in caplog.records]
    assert len(lines) >= len(answers)
    assert "onerror" not in "".join(lines)
    assert client.post("/v1/images/delete", json={"names": [MARKUP]}).json()["removed"] == [MARKUP]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(side: int, pixels: bytes, *chunks: bytes) -> bytes:
    """A square picture in colour of these compressed pixels, whatever they are."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../a.png", content)
    return buffer.getvalue()


def tarred(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("../a.png")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_bombs_and_archives_cost_themselves(
    writable: TestClient, index: Index, drawn: list[Path], tmp_path: Path
) -> None:
    large, plain = zlib.compress(bytes(32 << 20), 1), zlib.compress(bytes(90 * 271))
    bombs = {
        "pixels": (png(20_000, plain), "too_large"),
        "text": (png(90, plain, _chunk(b"zTXt", b"a\0\0" + large)), "decode_failed"),
        "international text": (png(90, plain, _chunk(b"iTXt", b"a\0\1\0\0\0" + large)), "decode_failed"),
        "profile": (png(90, plain, _chunk(b"iCCP", b"a\0\0" + large)), "decode_failed"),
        "zip": (zipped(bytes(32 << 20)), "decode_failed"),
        "tar": (tarred(drawn[6].read_bytes()), "decode_failed"),
        "tgz": (gzip.compress(tarred(bytes(32 << 20)), 1), "decode_failed"),
        "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", "decode_failed"),
        "ps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n", "decode_failed"),
    }
    files = [("image", (name, content)) for name, (content, _) in bombs.items()]
    told = writable.post("/v1/images", files=[*files, ("image", ("good", drawn[5].read_bytes()))]).json()
    assert {one["name"]: one["status"] for one in told["failed"]} == {name: why for name, (_, why) in bombs.items()}
    assert [one["name"] for one in told["added"]] == ["good"]
    for name, (content, why) in bombs.items():
        assert problem(writable.post("/v1/search", content=content)) == (422, why), name
    pair = {"a": bombs["text"][0], "b": drawn[5].read_bytes()}
    assert problem(writable.post("/v1/verify", files=pair)) == (422, "decode_failed")
    kept = [path.read_bytes() for path in (tmp_path / "uploads").rglob("*") if path.is_file()]
    assert kept == [drawn[5].read_bytes()]


def test_names_lead_to_no_file(serve: Serve, drawn: list[Path], tmp_path: Path) -> None:
    place, outside = tmp_path / "within" / "uploads", tmp_path / "escaped"
    place.parent.mkdir()
    outside.write_text("mine")
    client = serve(writable=True, uploads=place, files=True)
    content = drawn[5].read_bytes()
    names = [
        "../../escaped", "/etc/passwd", str(outside), "..\\..\\escaped", "C:\\escaped", "a/../../escaped", "..", "~",
        "file:///etc/passwd", f"file://{outside}", "a.png:stream", "nul",
    ]  # fmt: skip
    told = client.post("/v1/images", files=[("image", ("x", content))] * len(names), data={"name": names}).json()
    assert [one["name"] for one in told["added"] + told["skipped"]] == names
    assert set(client.get("/v1/images/6").json()["names"]) == set(names)
    assert client.get("/v1/images/6/file").content == content
    assert [path.read_bytes() for path in place.rglob("*") if path.is_file()] == [content]
    assert [client.post("/v1/search", json={"name": name}).json()["query"] for name in names] == names
    assert client.delete("/v1/images/6?upload=true").status_code == 204
    assert not [path for path in place.rglob("*") if path.is_file()]
    assert outside.read_text() == "mine"


def test_as_many_images_as_may_be_have_each_its_name(writable: TestClient) -> None:
    files = [("image", ("x", b"no picture"))] * 64
    names = [f"n{number}" for number in range(64)]
    answer = writable.post("/v1/images", files=files, data={"name": names, "text": "t", "on_conflict": "skip"})
    assert [one["name"] for one in answer.json()["failed"]] == names
    refused = writable.post("/v1/images", files=files, data={"name": names, "text": "t", "more": ["1", "2"]})
    assert problem(refused) == (400, "bad_request")
    many = [("image", (f"{number}.png", b"x")) for number in range(10_000)]
    assert problem(writable.post("/v1/images", files=many)) == (400, "bad_request")


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
