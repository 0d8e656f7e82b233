"""The commands that serve: their options, and what they refuse. The server itself is tested in tests/service."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from featmatch.service.options import ServeOptions
from tests.cli.conftest import Run


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """With what a server would have been started."""
    seen: dict[str, Any] = {}

    def open_service(indexes: dict[str, Path], options: ServeOptions, also: Sequence[Path]) -> str:
        seen.update(indexes=indexes, options=options, also=also)
        return "service"

    def serve(opening: Any, stream: Any, options: ServeOptions, *, ready: Any) -> None:
        assert opening() == "service"
        ready()
        stream.close()

    monkeypatch.setattr("featmatch.service.app.open_service", open_service)
    monkeypatch.setattr("featmatch.service.running.serve", serve)
    monkeypatch.setattr("webbrowser.open", lambda address: seen.update(address=address))
    return seen


def test_each_option_reaches_the_server(run: Run, started: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    ended = run(
        "serve", tmp_path / "photos.fm", "--index", f"old={tmp_path / 'old.fm'}", "--host", "localhost", "--port", "0",
        "--keys", tmp_path / "keys", "--writable", "--uploads", tmp_path / "up", "--files", "--allow-path", tmp_path,
        "--fetch", "A.example, .b.example", "--fetch-private", "--max-upload", "2k", "--searches", "3", "--queue", "5",
        "--search-timeout", "7", "--allowed-host", "photos.example", "--cors", "https://a.example", "--root", tmp_path,
        "--log", "text", "--prefix", "photos/", "--open", "--compat", "pastec, matchengine", "--metrics-port", "9"
    )  # fmt: skip
    assert (ended.status, ended.out) == (0, "")
    assert started["indexes"] == {"": tmp_path / "photos.fm", "old": tmp_path / "old.fm"}
    assert started["options"] == ServeOptions(
        host="localhost", port=0, keys=tmp_path / "keys", writable=True, uploads=tmp_path / "up", files=True,
        allow_paths=(tmp_path,), root=tmp_path, fetch=("a.example", ".b.example"), fetch_private=True, max_upload=2048,
        searches=3, queue=5, search_timeout=7.0, allowed_hosts=("photos.example",), cors=("https://a.example",),
        log="text", prefix="/photos", compat=("pastec", "matchengine"), metrics_port=9,
    )  # fmt: skip
    assert started["address"].startswith("http://localhost:")
    assert started["address"].endswith("/photos")
    assert started["address"] in ended.err


def test_several_are_served_as_one(run: Run, started: dict[str, Any]) -> None:
    ended = run("serve", "a.fm", "--also", "b.fm", "--also", "c.fm", "--port", "0")
    assert (started["indexes"], started["also"]) == ({"": Path("a.fm")}, (Path("b.fm"), Path("c.fm")))
    assert "serving a.fm, b.fm, c.fm at" in ended.err


def test_without_options_it_reads_only_and_is_local(run: Run, started: dict[str, Any]) -> None:
    assert run("serve", "photos.fm", "--port", "0").status == 0
    options = started["options"]
    assert options == ServeOptions(port=0)
    assert (options.writable, options.fetch, options.max_upload) == (False, (), 32 << 20)
    assert "address" not in started


def test_options_come_from_the_environment_and_a_file(
    run: Run, started: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "serve.toml"
    config.write_text('port = 0\nmax-upload = "1MiB"\nsearches = 5\nlog = "text"\ncors = ["https://a.example"]\n')
    monkeypatch.setenv("FEATMATCH_SEARCHES", "6")
    monkeypatch.setenv("FEATMATCH_FILES", "1")
    monkeypatch.setenv("FEATMATCH_ALLOWED_HOST", "a.example b.example")
    monkeypatch.setenv("FEATMATCH_ALLOW_PATH", os.pathsep.join([str(tmp_path), str(tmp_path / "more")]))
    monkeypatch.setenv("FEATMATCH_INDEX", "old=old.fm")
    monkeypatch.setenv("FEATMATCH_INDEX", "/my photos/old.fm")
    assert run("serve", "--port", "0").status == 0
    assert started["indexes"] == {"": Path("/my photos/old.fm")}
    assert run("serve", "photos.fm", "--port", "0").status == 0
    assert started["indexes"] == {"": Path("photos.fm")}
    monkeypatch.setenv("FEATMATCH_INDEX", "old=old.fm")
    monkeypatch.setenv("FEATMATCH_OPEN", "1")
    monkeypatch.setenv("FEATMATCH_WRITABLE", "1")
    assert run("serve", "photos.fm", "--port", "0").status == 0
    assert "address" in started
    assert started["indexes"] == {"": Path("photos.fm"), "old": Path("old.fm")}
    options = started["options"]
    assert (options.allowed_hosts, options.writable) == (("a.example", "b.example"), True)
    assert options.allow_paths == (tmp_path, tmp_path / "more")
    for name in ("ALLOWED_HOST", "ALLOW_PATH", "INDEX", "OPEN", "WRITABLE"):
        monkeypatch.delenv(f"FEATMATCH_{name}")
    if sys.version_info >= (3, 11):
        config.write_text(
            config.read_text() + 'allow-path = ["/photos"]\nallowed-host = ["c.example"]\nwritable = true\n'
        )
        assert run("serve", "photos.fm", "--config", config, "--log", "json").status == 0
        options = started["options"]
        assert (options.allow_paths, options.allowed_hosts) == ((Path("/photos"),), ("c.example",))
        assert options.writable
        options = started["options"]
        assert (options.max_upload, options.searches, options.log, options.files) == (1 << 20, 6, "json", True)
        assert options.cors == ("https://a.example",)
        config.write_text("prot = 0\n")
        assert "unknown options: prot" in run("serve", "photos.fm", "--config", config).err
        config.write_text("port = ")
        assert "cannot read" in run("serve", "photos.fm", "--config", config).err
    assert run("serve", "photos.fm", "--port", "0").status == 0
    assert started["options"].searches == 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "an INDEX is wanted"), (["i.fm", "--max-upload", "much"], "is no size"),
        (["i.fm", "--max-upload", "0"], "is no size"), (["--index", "i.fm"], "NAME=INDEX is wanted"),
        (["--index", "=i.fm"], "NAME=INDEX is wanted"),
        (["--index", "v1=i.fm"], "NAME=INDEX is wanted"), (["--index", "a/b=i.fm"], "NAME=INDEX is wanted"),
        (["i.fm", "--host", "0.0.0.0"], "without --keys"), (["i.fm", "--port", "70000"], "70000"),
        (["i.fm", "--port", "0"], "no featmatch index"),
        (["--index", "a=i.fm", "--also", "j.fm"], "with an INDEX"), (["i.fm", "--compat", "vise"], "are known"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run("serve", *arguments)
    assert ended.status == 2
    assert said in ended.err


def test_what_is_missing_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ended = run("serve", "photos.fm")
    assert (ended.status, ended.out) == (2, "")
    assert "pip install 'featmatch[serve]'" in ended.err


def test_a_key_is_printed_once(run: Run, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    ended = run("serve-key", "new", "me", "--scope", "write", "--keys", keys)
    assert ended.status == 0
    assert ended.out.startswith("fm_")
    assert keys.read_text().startswith("me write ")
    assert ended.out.strip() not in keys.read_text()
    again = run("serve-key", "new", "me", "--scope", "read", "--keys", keys)
    assert (again.status, again.out) == (2, "")
    assert "has a key me already" in again.err
