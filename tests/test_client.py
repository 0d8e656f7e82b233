"""The client: the calls of an index, over HTTP on this machine."""

from __future__ import annotations

import http.server
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image

import featmatch
from featmatch import Client, ImageError, Index, ServiceError, UsageError, Vocabulary, verify
from featmatch.service.app import Service
from featmatch.service.keys import new_key
from featmatch.service.options import ServeOptions
from featmatch.service.running import listen
from tools.small_index import draw_pictures, small_index


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw_pictures(tmp_path_factory.mktemp("client") / "photos", 6)


@pytest.fixture
def index(drawn: list[Path], small_words: Vocabulary, tmp_path: Path) -> Index:
    index = small_index(tmp_path / "photos.fm", small_words)
    index.add(drawn[:4], jobs=1)
    return index


class Ended(uvicorn.Server):
    """A server in a thread."""

    def __init__(self, service: Any) -> None:
        super().__init__(uvicorn.Config(service, log_config=None, ws="none"))
        self.up = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.up.set()


@pytest.fixture
def client(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Of a server on this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    secret = new_key(tmp_path / "keys", "me", "write")
    options = ServeOptions(
        port=0, keys=tmp_path / "keys", writable=True, uploads=tmp_path / "up", allow_paths=(tmp_path,), prefix="/p"
    )
    server = Ended(Service({"": index}, options))
    stream = listen(options)
    thread = threading.Thread(target=server.run, args=([stream],))
    thread.start()
    assert server.up.wait(60)
    yield Client(f"http://127.0.0.1:{stream.getsockname()[1]}/p/", key=secret)
    server.should_exit = True
    thread.join(60)


def test_the_answers_are_those_of_the_index(client: Client, index: Index, drawn: list[Path]) -> None:
    picture = Image.open(drawn[1]).crop((8, 12, 90, 100))
    expected = index.query(picture, unproven=True)
    found = client.query(picture, unproven=True)
    assert found.to_dict() == json.loads(json.dumps(expected.to_dict()))
    assert [(match.id, match.relation) for match in found] == [
        (match.id, featmatch.Relation.from_dict(match.relation.to_dict())) for match in expected
    ]  # fmt: skip
    for source in (drawn[1], str(drawn[1]), drawn[1].read_bytes(), io.BytesIO(drawn[1].read_bytes())):
        assert client.query(source, limit=1)[0].id == 2
    assert client.query(np.asarray(Image.open(drawn[1])), region=(0, 0, 96, 128))[0].id == 2
    squeezed = np.asarray(Image.open(drawn[1]).resize((130, 384), Image.Resampling.BICUBIC))
    assert [[match.id for match in client.query(squeezed, forms=forms)] for forms in ("few", "none")] == [[2], []]
    with pytest.raises(UsageError, match="forms"):
        client.verify(squeezed, squeezed, forms="most")  # type: ignore[arg-type]
    assert client.query(drawn[1], match=drawn[1].stem)[0].id == 2
    assert client.query(drawn[5]) == []
    told = client.verify(drawn[5], drawn[5])
    assert told["verified"] is True
    assert told["score"] == verify(drawn[5], drawn[5]).to_dict()["score"]


def test_images_are_added_listed_judged_and_removed(client: Client, index: Index, drawn: list[Path]) -> None:
    report = client.add_images([('li"sting\r\n 5', drawn[5]), ("bad", b"no picture")], text="new")
    assert (report.added, [failure.name for failure in report.failed]) == (['li"sting\r\n 5'], ["bad"])
    assert [record["id"] for record in client.images("new")] == [5]
    assert len(list(client.images())) == 5
    assert client.add_images([('li"sting\r\n 5', drawn[5])]).skipped == ['li"sting\r\n 5']
    files = client.add([drawn[4].parent, "gone.jpg"])
    assert (files.added, len(files.skipped)) == ([str(drawn[4]), str(drawn[5])], 4)
    assert [(failure.name, failure.status) for failure in files.failed] == [("gone.jpg", "not_found")]
    with pytest.raises(UsageError, match="list of paths"):
        client.add("a.jpg")
    names = [str(path) for path in drawn]
    client.reject(names[0], names[1])
    client.accept(names[1], names[2])
    index.refresh()
    assert index.info().verdicts == 2
    client.forget(names[0], names[1])
    index.refresh()
    assert index.info().verdicts == 1
    assert client.remove([names[0], "nobody"]) == [names[0]]
    with pytest.raises(ServiceError, match="POST /v1/jobs") as refused:
        list(client.groups())
    assert (refused.value.status, refused.value.code) == (409, "groups_not_made")


def test_archives_are_added_by_their_pictures(client: Client, drawn: list[Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(drawn[4], "in/four.png")
        archive.writestr("../out.png", drawn[5].read_bytes())
    with tarfile.open(tmp_path / "more.tar", "w") as tape:
        tape.add(drawn[5], "five.png")
    (tmp_path / "empty.zip").write_bytes(b"")
    names = [f"{tmp_path}/more.zip#member=in/four.png", f"{tmp_path}/more.tar#member=five.png"]
    report = client.add([tmp_path / "more.zip", tmp_path / "more.tar", tmp_path / "empty.zip"])
    assert list(report.added) == names
    assert [failure.name for failure in report.failed] == [
        f"{tmp_path}/more.zip#member=../out.png",
        f"{tmp_path}/empty.zip",
    ]
    assert [client.query(drawn[number])[0].name for number in (4, 5)] == names


def test_errors_are_those_of_the_index(client: Client, drawn: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ImageError) as unreadable:
        client.query(b"no picture")
    assert unreadable.value.status == "decode_failed"
    with pytest.raises(ImageError) as missing:
        client.query(tmp_path / "gone.jpg")
    assert missing.value.status == "not_found"
    with pytest.raises(UsageError):
        client.query(drawn[0], limit=0)
    with pytest.raises(UsageError):
        client.query(drawn[0], region=(5000, 0, 9, 9))
    for url in ("localhost:8520", "ftp://localhost", "http://", ""):
        with pytest.raises(UsageError, match="url is like"):
            Client(url)


def test_who_has_no_key_is_refused(client: Client, drawn: list[Path]) -> None:
    client._headers = {}
    with pytest.raises(ServiceError) as refused:
        client.query(drawn[0])
    assert (refused.value.status, refused.value.code) == (401, "key_missing")


class Busy(http.server.BaseHTTPRequestHandler):
    answers: list[tuple[int, bytes]]

    def do_GET(self) -> None:
        status, content = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def busy() -> Iterator[tuple[Client, type[Busy]]]:
    """A client of something that answers as it is told to."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Client(f"http://127.0.0.1:{server.server_address[1]}"), Busy
        server.shutdown()
        thread.join(60)


def test_a_busy_service_is_asked_again_when_it_says(
    busy: tuple[Client, type[Busy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, answering = busy
    slept: list[float] = []
    monkeypatch.setattr("featmatch.client.time.sleep", slept.append)
    page = json.dumps({"images": [], "next": None}).encode()
    refusal = json.dumps({"code": "busy", "detail": "so busy"}).encode()
    answering.answers = [(503, refusal), (503, b"<html>"), (200, page)]
    assert list(client.images()) == []
    assert slept == [7, 1]
    answering.answers = [(503, refusal)] * 5
    with pytest.raises(ServiceError, match="so busy"):
        list(client.images())
    assert (answering.answers, len(slept)) == ([], 6)


def test_what_is_no_service(busy: tuple[Client, type[Busy]]) -> None:
    client, answering = busy
    answering.answers = [(200, b"<html>")]
    with pytest.raises(ServiceError, match="is it featmatch"):
        list(client.images())
    answering.answers = [(404, b"<html>")]
    with pytest.raises(ServiceError, match="status 404"):
        list(client.images())
    with pytest.raises(ServiceError, match="cannot reach") as refused:
        list(Client("http://127.0.0.1:1").images())
    assert refused.value.status == 0
