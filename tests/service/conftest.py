"""A service of a small index, and clients that ask it without a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from featmatch import Index, Vocabulary
from featmatch.service.app import Service
from featmatch.service.options import ServeOptions
from featmatch.service.thumbnails import Thumbnails
from featmatch.system.trust import trust, trusted_paths
from tools.small_index import draw_pictures, small_index

Serve = Callable[..., TestClient]


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight pictures; an index has the first five. Not to be written to."""
    return draw_pictures(tmp_path_factory.mktemp("drawn") / "photos", 8)


@pytest.fixture(scope="session")
def made(drawn: list[Path], small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of five pictures. Not to be written to."""
    folder = tmp_path_factory.mktemp("made") / "photos.fm"
    assert len(small_index(folder, small_words).add(drawn[:5], jobs=1).added) == 5
    return folder


def copied(made: Path, folder: Path) -> Index:
    """A copy of an index, whose files are trusted as those of the first."""
    shutil.copytree(made, folder)
    trust(folder, trusted_paths(made))
    return Index.open(folder)


@pytest.fixture
def index(made: Path, tmp_path: Path) -> Index:
    """An index of five pictures, to write to."""
    return copied(made, tmp_path / "photos.fm")


@pytest.fixture
def serve(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serves the index with some options; the servers end with the test."""
    monkeypatch.setattr("featmatch.service.app.Thumbnails", lambda: Thumbnails(tmp_path / "thumbnails"))
    clients: list[TestClient] = []

    def start(*, indexes: dict[str, Index] | None = None, **options: Any) -> TestClient:
        service = Service(indexes or {"": index}, ServeOptions(**{"searches": 2, **options}))
        client = TestClient(service, "http://localhost:8520", raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve: Serve) -> TestClient:
    """Of a server that only reads."""
    return serve()


@pytest.fixture(scope="module")
def lasting(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Of a server that only reads, for tests that leave it as it is: they share it."""
    folder = tmp_path_factory.mktemp("lasting")
    index = copied(made, folder / "photos.fm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("featmatch.service.app.Thumbnails", lambda: Thumbnails(folder / "thumbnails"))
        service = Service({"": index}, ServeOptions(searches=2))
    with TestClient(service, "http://localhost:8520", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def writable(serve: Serve, tmp_path: Path) -> TestClient:
    """Of a server that writes."""
    return serve(writable=True, uploads=tmp_path / "uploads")


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal, which is of the one shape."""
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code", "request_id"} <= set(told)
    assert told["status"] == answer.status_code
    assert told["type"].endswith("#" + told["code"])
    assert told["request_id"] == answer.headers["x-request-id"]
    assert (answer.status_code in (429, 503)) <= ("retry-after" in answer.headers)
    return answer.status_code, told["code"]
