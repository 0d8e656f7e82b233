from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from featmatch.images import contents
from featmatch.images.contents import content_of, stamp_of


def test_equal_files_have_equal_contents(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (content_of(str(tmp_path / name)) for name in "abc")
    assert a == b == hashlib.sha256(b"one").hexdigest()
    assert a != c


def test_each_page_has_a_content_of_its_own(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    a1, a2, b1, c1 = (content_of(f"{tmp_path / name[0]}#page={name[1]}") for name in ("a1", "a2", "b1", "c1"))
    digest = hashlib.sha256(b"one").hexdigest()
    assert a1 == b1 == hashlib.sha256(f"{digest}#page=1".encode()).hexdigest()  # as indexes have it
    assert len({a1, a2, c1, digest}) == 4


def test_a_file_of_many_pages_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "scan.tif"
    file.write_bytes(b"one")
    read: list[str] = []

    def sha256_of(path: str) -> str:
        read.append(path)
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()

    monkeypatch.setattr(contents, "sha256_of", sha256_of)
    pages = [content_of(f"{file}#page={page}") for page in range(1, 4)]
    assert (len(set(pages)), read) == (3, [str(file)])
    os.utime(file, ns=(1, 1))
    assert content_of(f"{file}#page=1") == pages[0]
    assert len(read) == 2
    file.write_bytes(b"two")
    assert content_of(f"{file}#page=1") != pages[0]


def test_a_stamp_tells_files_and_their_states_apart(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for file in (a, b):
        file.write_bytes(b"one")
        os.utime(file, ns=(5, 5))
    first = stamp_of(a)
    assert first == stamp_of(str(a)) != stamp_of(b)
    os.utime(a, ns=(5, 6))
    assert stamp_of(a) != first
    a.write_bytes(b"three")
    os.utime(a, ns=(5, 5))
    assert stamp_of(a) != first


@pytest.mark.parametrize("page", ["", "#page=2"])
def test_a_file_that_is_not_there_has_none(tmp_path: Path, page: str) -> None:
    with pytest.raises(FileNotFoundError):
        content_of(f"{tmp_path / 'nothing'}{page}")
