from __future__ import annotations

import hashlib
import io
import os
import stat
from pathlib import Path

import pytest

from featmatch.system.files import flush_folder, folder_bytes, open_file, replace_file, sha256_of, sha256_of_rest


def test_a_file_is_opened_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "file", str(tmp_path / "link")):
        with open_file(place) as file:
            assert file.read() == b"content"
    with open_file(tmp_path / "file", through_links=False) as file:
        assert file.read() == b"content"
    for place in (tmp_path / "pipe", tmp_path, Path(os.devnull)):
        with pytest.raises(OSError, match="no file"):
            open_file(place)
    with pytest.raises(OSError, match=r"link|symbolic"):
        open_file(tmp_path / "link", through_links=False)


def test_what_is_refused_is_closed_again(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    with pytest.raises(OSError, match="no file"):
        open_file(tmp_path)
    assert before == (os.listdir("/proc/self/fd") if before else [])


def test_a_digest_is_of_all_that_is_left_to_read(tmp_path: Path) -> None:
    content = os.urandom((1 << 20) + 7)
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()
    rest = io.BytesIO(content)
    rest.read(5)
    assert sha256_of_rest(rest) == hashlib.sha256(content[5:]).hexdigest()
    assert sha256_of_rest(io.BytesIO()) == hashlib.sha256().hexdigest()


def test_a_folder_is_as_large_as_the_files_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    for name, size in (("a", 3), ("deep/b", 40), ("deep/deeper/c", 500)):
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "link").symlink_to("deep/deeper/c")
    assert folder_bytes(tmp_path) == 543
    lstat = Path.lstat

    def gone(path: Path) -> os.stat_result:
        if path.name == "b":
            raise FileNotFoundError
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", gone)
    assert folder_bytes(tmp_path) == 503
    assert folder_bytes(tmp_path / "nothing") == 0


def test_a_file_is_in_its_place_once_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    flushed: list[int] = []
    monkeypatch.setattr("os.fsync", lambda handle: flushed.append(os.fstat(handle).st_size))
    for content in (b"new", b"another"):
        before = target.read_bytes() if target.exists() else None
        with replace_file(target) as file:
            file.write(content)
            assert (target.read_bytes() if target.exists() else None) == before
        assert target.read_bytes() == content
        assert os.listdir(tmp_path) == ["file"]
    assert flushed == [3, 7]


@pytest.mark.parametrize("ending", [KeyboardInterrupt, OSError])
def test_what_is_not_written_to_its_end_leaves_what_was_there(tmp_path: Path, ending: type[BaseException]) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"before")
    with pytest.raises(ending), replace_file(target) as file:
        file.write(b"half")
        raise ending
    assert target.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file"]


def test_what_an_earlier_run_left_aside_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    aside = tmp_path / f"file.{os.getpid()}.partial"
    for left in (lambda: aside.write_bytes(b"left"), lambda: aside.symlink_to("precious")):
        left()
        with replace_file(tmp_path / "file") as file:
            file.write(b"new")
        assert (tmp_path / "file").read_bytes() == b"new"
        assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_pipes_and_devices_are_not_replaced_and_folders_cannot_be(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a device or a pipe") as raised, replace_file(tmp_path / "pipe"):
        pytest.fail("it is not to be written")
    assert raised.value.filename == str(tmp_path / "pipe")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    with pytest.raises(IsADirectoryError), replace_file(tmp_path) as file:
        file.write(b"")


def test_folders_are_flushed_where_they_can_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[bool] = []
    monkeypatch.setattr("os.fsync", lambda handle: flushed.append(stat.S_ISDIR(os.fstat(handle).st_mode)))
    flush_folder(tmp_path)
    assert flushed == [True]
    monkeypatch.setattr("featmatch.system.files.os.name", "nt")
    flush_folder(tmp_path)
    assert flushed == [True]
