"""Thumbnails on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from featmatch.service.thumbnails import Thumbnails


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_what_is_kept_is_there_also_for_the_next_server(tmp_path: Path) -> None:
    kept = Thumbnails(tmp_path / "cache")
    assert kept.get("a-160.jpeg") is None
    kept.keep("a-160.jpeg", b"one")
    assert kept.get("a-160.jpeg") == b"one"
    assert Thumbnails(tmp_path / "cache").get("a-160.jpeg") == b"one"


def test_what_was_used_last_stays(tmp_path: Path) -> None:
    kept = Thumbnails(tmp_path, most_bytes=10)
    kept.keep("a", b"12345")
    kept.keep("b", b"12345")
    assert kept.get("a") is not None
    kept.keep("c", b"123")
    assert names(tmp_path) == ["a", "c"]
    kept.keep("c", b"12345")
    assert names(tmp_path) == ["a", "c"]
    kept.keep("d", b"12345678901")
    assert names(tmp_path) == ["a", "c"]
    Thumbnails(tmp_path, most_bytes=6).keep("e", b"1")
    assert len(names(tmp_path)) == 2


def test_what_others_delete_is_not_there(tmp_path: Path) -> None:
    kept = Thumbnails(tmp_path, most_bytes=10)
    kept.keep("a", b"12345")
    (tmp_path / "a").unlink()
    assert kept.get("a") is None
    kept.keep("b", b"12345")
    kept.keep("c", b"12345")
    assert names(tmp_path) == ["b", "c"]
    (tmp_path / "by another").write_bytes(b"x")
    assert kept.get("by another") == b"x"


def test_a_folder_that_cannot_be_written_to_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    kept = Thumbnails(tmp_path / "file" / "below")
    kept.keep("a", b"1")
    assert kept.get("a") is None


def test_by_default_they_are_in_the_cache_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("featmatch.service.thumbnails.user_cache_path", lambda name: tmp_path / name)
    assert Thumbnails().folder == tmp_path / "featmatch" / "thumbnails"
