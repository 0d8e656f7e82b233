"""Pictures as people name them."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from featmatch import FeatmatchError, ImageError, UsageError
from featmatch.images.addresses import Fetching
from featmatch.images.decoding import USUAL
from featmatch.images.named import check_input_once, names_in, picture_named, pictures_named
from featmatch.names import quoted

pytestmark = pytest.mark.usefixtures("decoded_here")

HOSTILE = ["a b.jpg", "two\nlines.jpg", 'q"uote.jpg', "日本.jpg", "-.jpg", "$(x).jpg"]


def told(*names: object) -> list[tuple[str, object]]:
    """Names with sources; of those that have none, the status."""
    found = pictures_named(map(str, names), USUAL)
    return [(name, source.status if isinstance(source, ImageError) else source) for name, source in found]


def test_files_are_what_they_are_called(tmp_path: Path) -> None:
    assert told("./a.jpg", "b.pdf#page=2", tmp_path / "no.zip") == [
        ("./a.jpg", "./a.jpg"), ("b.pdf#page=2", "b.pdf#page=2"), (f"{tmp_path}/no.zip", f"{tmp_path}/no.zip"),
    ]  # fmt: skip


def test_folders_are_all_images_in_them(tmp_path: Path) -> None:
    for name in (*HOSTILE, "deep/er/z.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "none").mkdir()
    wanted = [str(tmp_path / name) for name in (*sorted(HOSTILE), "deep/er/z.png")]
    assert told(tmp_path) == [(name, name) for name in wanted]
    assert told(tmp_path / "none") == [(f"{tmp_path}/none", "not_found")]


def test_archives_are_the_pictures_in_them(tmp_path: Path) -> None:
    path = tmp_path / "a b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x/1.jpg", "../out.jpg", "2.png", "notes.txt"):
            archive.writestr(name, "x")
    one, two, out = (f"{path}#member={name}" for name in ("x/1.jpg", "2.png", "../out.jpg"))
    assert told(path) == [(one, one), (two, two), (out, "decode_failed")]
    zipfile.ZipFile(tmp_path / "none.zip", "w").close()
    (tmp_path / "bad.tar").write_bytes(b"x" * 2000)
    assert [status for _, status in told(tmp_path / "none.zip", tmp_path / "bad.tar")] == ["not_found", "decode_failed"]


def test_an_archive_that_is_cut_short_gives_what_comes_before(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("1.jpg", "2.jpg", "3.jpg", "4.jpg"):
            (tmp_path / name).write_bytes(b"x" * 3000)
            archive.add(tmp_path / name, name)
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[:7000])
    one = f"{tmp_path}/a.tar#member=1.jpg"
    assert told(tmp_path / "a.tar")[0] == (one, one)
    assert told(tmp_path / "a.tar")[-1] == (f"{tmp_path}/a.tar", "decode_failed")


def test_standard_input_is_one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"bytes of a picture")))
    assert told("-") == [("-", b"bytes of a picture")]
    check_input_once(["a", "-", "b"])
    with pytest.raises(UsageError, match="once"):
        check_input_once(["-", "a", "-"])


def test_addresses_are_fetched_when_it_is_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[tuple[str, float]] = []

    def fetch(self: Fetching, url: str) -> bytes:
        fetched.append((url, self.seconds))
        return b"picture"

    monkeypatch.setattr(Fetching, "fetch", fetch)
    found = pictures_named(["a.jpg", "HTTPS://a.example/b.jpg"], USUAL)
    assert next(found).source == "a.jpg"
    assert fetched == []
    assert next(found) == ("HTTPS://a.example/b.jpg", b"picture")
    assert fetched == [("HTTPS://a.example/b.jpg", USUAL.timeout)]


def test_addresses_of_this_network_are_refused() -> None:
    url = "http://127.0.0.1/a.jpg"
    assert told(url, "http://a.example:8080/b.jpg") == [
        (url, "not_found"),
        ("http://a.example:8080/b.jpg", "not_found"),
    ]
    with pytest.raises(ImageError, match="refused: only http and https addresses of public hosts") as refused:
        picture_named(url, USUAL)
    assert (refused.value.name, isinstance(refused.value, FeatmatchError)) == (url, True)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
def test_lists_hold_any_name(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [*HOSTILE, os.fsdecode(b"caf\xe9.jpg")]
    written = names if end == "\0" else [quoted(name) if name != HOSTILE[0] else name for name in names]
    content = end.join([*written, ""]).encode("utf-8", "surrogateescape")
    (tmp_path / "list").write_bytes(content)
    assert names_in(str(tmp_path / "list")) == names
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert names_in("-") == names


def test_a_list_without_a_last_line_end_and_with_a_mark_of_its_encoding(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbfa.jpg\n\nb.jpg")
    assert names_in(str(tmp_path / "list")) == ["a.jpg", "b.jpg"]
