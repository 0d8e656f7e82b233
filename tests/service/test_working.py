"""Jobs over HTTP."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from featmatch import Index
from featmatch.images.archives import MOST_BYTES
from featmatch.system import workers
from tests.service.conftest import Serve, problem


@pytest.fixture
def folder(drawn: list[Path], tmp_path: Path) -> Path:
    """Three more pictures, and a file that is none."""
    folder = tmp_path / "more"
    folder.mkdir()
    for path in drawn[5:8]:
        shutil.copy(path, folder)
    (folder / "text.png").write_text("no picture")
    return folder


@pytest.fixture
def client(serve: Serve, folder: Path) -> Iterator[TestClient]:
    """Of a server that may add what lies in the folder."""
    yield serve(writable=True, allow_paths=(folder,))


def ended(client: TestClient, told: dict[str, Any]) -> dict[str, Any]:
    """The job, once it is over: its events are followed."""
    events = client.get(f"/v1/jobs/{told['id']}/events").text
    last: dict[str, Any] = json.loads(events.rstrip().rsplit("data: ", 1)[1])
    return last


def test_a_job_adds_what_lies_in_a_folder(client: TestClient, index: Index, folder: Path) -> None:
    answer = client.post("/v1/jobs", json={"kind": "add", "paths": [str(folder)], "text": "new"})
    assert answer.status_code == 202
    assert answer.headers["location"] == "/v1/jobs/j_1"
    told = ended(client, answer.json())
    assert (told["state"], told["error"]) == ("done", None)
    assert {name: told["progress"][name] for name in ("done", "total", "added", "skipped", "failed")} == {
        "done": 4, "total": 4, "added": 3, "skipped": 0, "failed": 1,
    }  # fmt: skip
    assert [(one["name"], one["status"]) for one in told["failures"]] == [(str(folder / "text.png"), "decode_failed")]
    assert client.get("/v1/images?match=new").json()["total"] == 3
    assert client.get("/v1/jobs/j_1").json() == told
    assert [one["id"] for one in client.get("/v1/jobs").json()["jobs"]] == ["j_1"]
    page = client.get("/v1/jobs/j_1/failures?limit=1").json()
    assert (len(page["failures"]), page["next"]) == (1, None)
    assert client.get("/v1/jobs/j_1/failures?after=1").json() == {"failures": [], "next": None}


def test_a_job_adds_the_pictures_of_an_archive(client: TestClient, index: Index, folder: Path) -> None:
    archive = folder / "more.zip"
    pictures = sorted(folder.glob("0*.png"))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in (
            ("a.png", pictures[0].read_bytes()), ("deep/b.png", pictures[1].read_bytes()), ("text.png", b"no picture"),
            ("../../escaped.png", pictures[2].read_bytes()), ("notes.txt", b"x"), ("bomb.png", bytes(50_003)),
        ):  # fmt: skip
            file.writestr(name, content)
    says = archive.read_bytes()
    archive.write_bytes(says.replace(struct.pack("<I", 50_003), struct.pack("<I", MOST_BYTES + 1)))
    told = ended(client, client.post("/v1/jobs", json={"kind": "add", "paths": [str(archive)]}).json())
    assert (told["state"], told["progress"]["added"], told["progress"]["failed"]) == ("done", 2, 3)
    names = [f"{archive}#member={name}" for name in ("a.png", "deep/b.png")]
    assert {one["name"].removeprefix(f"{archive}#member="): one["status"] for one in told["failures"]} == {
        "text.png": "decode_failed", "../../escaped.png": "decode_failed", "bomb.png": "too_large",
    }  # fmt: skip
    assert [one["name"] for one in client.get("/v1/images?after=5").json()["images"]] == names
    assert client.post("/v1/search", content=pictures[0].read_bytes()).json()["matches"][0]["name"] == names[0]
    assert client.get("/v1/images/6/thumbnail").status_code == 200
    assert problem(client.get("/v1/images/6/with/7/proof")) == (410, "file_gone")
    assert problem(client.post("/v1/search", json={"id": 6})) == (410, "file_gone")


def test_a_link_leads_a_job_nowhere_else(
    client: TestClient, index: Index, folder: Path, drawn: list[Path], tmp_path: Path
) -> None:
    (folder / "within.png").symlink_to(folder / drawn[5].name)
    first = ended(client, client.post("/v1/jobs", json={"kind": "add", "paths": [str(folder)]}).json())
    assert (first["state"], first["progress"]["added"]) == ("done", 4)
    shutil.copy(drawn[7], tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    told = ended(client, client.post("/v1/jobs", json={"kind": "add", "paths": [str(folder)]}).json())
    assert (told["state"], told["progress"]["added"]) == ("failed", 0)
    assert "link.png is a link that leads elsewhere" in told["error"]
    assert client.get("/v1/images", params={"name": str(folder / "link.png")}).json()["total"] == 0


def test_searches_go_before_jobs(client: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    add = Index.add

    def watched(*given: Any, **options: Any) -> Any:
        seen.append(workers._niceness.get())
        return add(*given, **options)

    monkeypatch.setattr(Index, "add", watched)
    ended(client, client.post("/v1/jobs", json={"kind": "add", "paths": [str(folder)]}).json())
    assert seen == [10]


def test_events_have_kinds_and_numbers(client: TestClient) -> None:
    job = client.post("/v1/jobs", json={"kind": "compact"}).json()
    answer = client.get(f"/v1/jobs/{job['id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    *_, last = answer.text.rstrip().split("\n\n")
    number, kind, data = last.split("\n")
    assert kind == "event: done"
    assert json.loads(data.removeprefix("data: "))["state"] == "done"
    again = client.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": number.removeprefix("id: ")})
    assert "event: done" in again.text  # of what is over, the end is told in any case


@pytest.mark.parametrize("kind", ["compact", "check", "groups"])
def test_each_kind_of_job_is_done(client: TestClient, kind: str) -> None:
    assert ended(client, client.post("/v1/jobs", json={"kind": kind}).json())["state"] == "done"


def test_a_damaged_index_fails_its_check(client: TestClient, index: Index) -> None:
    column = next((index.folder / "segments").rglob("*.npy"))
    content = bytearray(column.read_bytes())
    content[-1] ^= 1
    column.write_bytes(content)
    told = ended(client, client.post("/v1/jobs", json={"kind": "check"}).json())
    assert told["state"] == "failed"
    assert told["error"]


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        ({}, (400, "bad_request")),
        ({"kind": "dance"}, (422, "invalid_value")),
        ({"kind": "compact", "force": True}, (422, "unknown_field")),
        ({"kind": "add"}, (422, "invalid_value")),
        ({"kind": "add", "paths": [3]}, (422, "invalid_value")),
        ({"kind": "add", "paths": ["/etc"]}, (403, "path_not_allowed")),
        ({"kind": "add", "paths": ["photos"]}, (403, "path_not_allowed")),
        ({"kind": "add", "paths": ["FOLDER/../.."]}, (403, "path_not_allowed")),
        ({"kind": "add", "paths": ["FOLDER/link"]}, (403, "path_not_allowed")),
        ({"kind": "add", "paths": ["FOLDER"], "prune": "perhaps"}, (422, "invalid_value")),
    ],
)
def test_a_job_that_cannot_be_meant_is_refused(
    client: TestClient, folder: Path, told: dict[str, Any], refusal: tuple[int, str]
) -> None:
    (folder / "link").symlink_to("/etc")
    meant = json.loads(json.dumps(told).replace("FOLDER", str(folder)))
    assert problem(client.post("/v1/jobs", json=meant)) == refusal
    assert client.get("/v1/jobs").json() == {"jobs": []}


def test_without_allowed_folders_nothing_is_added(serve: Serve, folder: Path) -> None:
    client = serve(writable=True)
    assert problem(client.post("/v1/jobs", json={"kind": "add", "paths": [str(folder)]})) == (403, "path_not_allowed")
    assert problem(client.get("/v1/jobs/j_9")) == (404, "no_such_job")
    assert problem(client.delete("/v1/jobs/j_9")) == (404, "no_such_job")
    assert problem(client.get("/v1/jobs/j_9/events")) == (404, "no_such_job")
    assert problem(serve().post("/v1/jobs", json={"kind": "compact"})) == (403, "read_only")


def test_what_waits_is_cancelled_at_once(client: TestClient, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        go_on.wait(60)

    monkeypatch.setattr(index, "compact", slow)
    first = client.post("/v1/jobs", json={"kind": "compact"}).json()
    assert begun.wait(60)
    second = client.post("/v1/jobs", json={"kind": "check"}).json()
    cancelled = client.delete(f"/v1/jobs/{second['id']}")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    assert client.get(f"/v1/jobs/{first['id']}").json()["state"] == "running"
    go_on.set()
    assert ended(client, first)["state"] == "done"
    assert ended(client, second)["started"] is None
