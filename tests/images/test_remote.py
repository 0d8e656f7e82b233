"""Pictures on other storage: a folder, a file, and what cannot be had. The storage is this process's memory."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from featmatch import ImageError, MissingFeatureError
from featmatch.images import remote
from featmatch.images.remote import remote_pictures

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def storage() -> Any:
    files = fsspec.filesystem("memory")
    files.pipe(
        {"/photos/b c.jpg": b"one", "/photos/deep/日.PNG": b"two", "/photos/notes.txt": b"", "/photos/a.jpg": b"3"}
    )
    yield files
    files.rm("/", recursive=True)


def told(url: str) -> list[tuple[str, object]]:
    return [(name, one.status if isinstance(one, ImageError) else one) for name, one in remote_pictures(url)]


@pytest.mark.usefixtures("storage")
def test_folders_and_files() -> None:
    names = [f"memory:///photos/{name}" for name in ("a.jpg", "b c.jpg", "deep/日.PNG")]
    assert told("memory://photos/") == list(zip(names, (b"3", b"one", b"two"), strict=True))
    assert told("memory://photos/b c.jpg") == [(names[1], b"one")]
    assert told("memory://photos/notes.txt") == [("memory:///photos/notes.txt", b"")]


def test_what_cannot_be_had_costs_itself(storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told("memory://photos/none.jpg") == [("memory:///photos/none.jpg", "not_found")]
    storage.mkdir("/empty")
    assert told("memory://empty") == [("memory://empty", "not_found")]
    monkeypatch.setattr(remote, "MOST_BYTES", 2)
    assert [one for _, one in told("memory://photos")] == [b"3", "too_large", "too_large"]
    monkeypatch.setattr(type(storage), "isdir", lambda *_: 1 / 0)
    assert told("memory://photos") == [("memory://photos", "not_found")]
    assert told("nonsense://photos") == [("nonsense://photos", "not_found")]


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingFeatureError, match="s3fs"):
        list(remote_pictures("s3://bucket/a.jpg"))
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingFeatureError, match=r"featmatch\[remote\]"):
        list(remote_pictures("s3://bucket/a.jpg"))
