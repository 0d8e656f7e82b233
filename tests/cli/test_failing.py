from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import featmatch
from featmatch import Index, Vocabulary
from featmatch.cli.failing import check_memory, status_of
from featmatch.errors import FeatmatchError
from featmatch.system.ending import BROKEN_PIPE, Ended
from tests.cli.conftest import Run, assert_harmless, bare, filled_in

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names and streams are others there")


@pytest.mark.parametrize("limit", ["-n 8", "-n 12", "-v 300000", "-v 600000"])
def test_no_files_and_no_memory_are_one_line(hostile: Path, limit: str) -> None:
    image = hostile / "日本.png"
    ended = bare("query", hostile / "i.fm", image, shell=f'ulimit {limit}; exec "$@"')
    assert ended.returncode in (0, 2)
    assert len(ended.stderr.splitlines()) == (ended.returncode == 2)


@pytest.mark.parametrize("handles", [12, 20])
def test_no_files_while_adding_are_one_line_and_name_the_file(
    hostile: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, handles: int
) -> None:
    Index.open(tmp_path / "i.fm", create=True, vocabulary=tiny_vocabulary)
    files = [hostile / "日本.png", hostile / "=1+1.png"]
    ended = bare("add", tmp_path / "i.fm", *files, shell=f'ulimit -n {handles}; exec "$@"')
    assert ended.returncode in (0, 2)
    assert "Traceback" not in ended.stderr
    assert not featmatch.check(tmp_path / "i.fm").problems


def test_a_working_directory_that_is_no_more_is_one_line(hostile: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    for arguments in (["add", "i.fm", "a.jpg"], ["query", "../i.fm", "a.jpg"]):
        ended = bare(*arguments, shell=f'mkdir -p "{gone}"; cd "{gone}"; rmdir "{gone}"; exec "$@"')
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("featmatch: ")
        assert len(ended.stderr.splitlines()) == 1
    ended = bare("list", hostile / "i.fm", shell=f'mkdir -p "{gone}"; cd "{gone}"; rmdir "{gone}"; exec "$@"')
    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("psychic"), "KeyError: 'psychic' (set FEATMATCH_DEBUG=1 to see where)"),
        (RuntimeError("\x1b[31m"), r"RuntimeError: \033[31m (set FEATMATCH_DEBUG=1 to see where)"),
        (MemoryError(), "out of memory"),
        (OSError(24, "Too many open files", "/some/file"), "/some/file: Too many open files"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (EOFError("short"), "EOFError: short (set FEATMATCH_DEBUG=1 to see where)"),
        (BrokenPipeError(32, "Broken pipe"), "Broken pipe"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_nobody_foresaw_is_one_line(
    run: Run, hostile: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(index: Index) -> None:
        raise error

    monkeypatch.setattr(Index, "info", fail)
    assert run("info", hostile / "i.fm") == (2, "", f"featmatch: {said}\n")
    monkeypatch.setenv("FEATMATCH_DEBUG", "1")
    status, _, err = run("info", hostile / "i.fm")
    assert status == 2
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith(f"featmatch: {said}\n")
    assert "in fail" in err
    assert_harmless(err)


def test_each_message_names_its_file(run: Run, hostile: Path, tmp_path: Path) -> None:
    image, missing = hostile / "日本.png", tmp_path / "nothing.jpg"
    for arguments in (["verify", image, missing], ["explain", hostile / "i.fm", missing, "日本.png"]):
        assert run(*arguments) == (2, "", f"featmatch: {missing}: no such file\n")
    status, _, err = run("query", hostile / "i.fm", missing)
    assert (status, err) == (2, f"featmatch: {missing}: not_found: no such file\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "\x1b[31m\u202e"], ["list", "x", "--limit=\x1b[31m\x9b"], ["\x1b[31m"], ["query", "INDEX", "\x1b\x9b"],
        ["add", "INDEX", "IMAGE", "--features", "\x1b[31m"], ["verify", "\x1b[31m", "\udce9"],
        ["remove", "INDEX", "\x9b"],
        ["reject", "INDEX", "\x1b", "\x9b"], ["query", "INDEX", "IMAGE", "--match", "\x1b[\u202e"],
        ["verify", "IMAGE", "IMAGE", "--draw", "/nowhere/\x1b[31m.png"],
    ],
    ids=ascii,
)  # fmt: skip
def test_messages_are_as_harmless(run: Run, hostile: Path, arguments: list[str]) -> None:
    status, out, err = run(*filled_in(arguments, hostile))
    assert status in (1, 2)
    assert err
    assert_harmless(out + err)


def test_closed_streams_are_no_traceback(hostile: Path, tmp_path: Path) -> None:
    ended = bare("list", hostile / "i.fm", shell='exec "$@" >&-')
    assert (ended.returncode, ended.stderr) == (2, "featmatch: cannot write to standard output: Bad file descriptor\n")
    assert bare("list", hostile / "i.fm", shell='exec "$@" 2>&-').returncode == 0
    image = hostile / "日本.png"
    Index.open(tmp_path / "i.fm", create=True, vocabulary=Index.open(hostile / "i.fm").vocabulary)
    assert bare("add", tmp_path / "i.fm", image, shell='exec "$@" >&- 2>&- <&-').returncode == 0
    assert not featmatch.check(tmp_path / "i.fm").problems


@pytest.mark.parametrize("command", [["list", "INDEX"], ["query", "INDEX", "IMAGE", "--csv"]], ids=" ".join)
def test_what_nobody_reads_is_quiet(hostile: Path, command: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "featmatch", *filled_in(command, hostile)], stdout=writing, stderr=subprocess.PIPE,
        check=False,
    )  # fmt: skip
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (SystemExit(3), 3, ""),
        (SystemExit(), 2, ""),
        (Ended(15), 143, "featmatch: terminated; what was committed stays\n"),
        (Ended(1), 129, "featmatch: hung up; what was committed stays\n"),
        (Ended(BROKEN_PIPE), 141, ""),
        (KeyboardInterrupt(), 130, "featmatch: interrupted; what was committed stays\n"),
        (click.Abort(), 130, "featmatch: interrupted; what was committed stays\n"),
        (click.UsageError("not so"), 2, "Error: not so\n"),
        (click.UsageError("\x9b31m"), 2, "Error: \\302\\23331m\n"),
        (FeatmatchError("two\nlines"), 2, "featmatch: two\\012lines\n"),
        (FileNotFoundError(2, "No such file"), 2, "featmatch: No such file\n"),
        (OSError("psychic"), 2, "featmatch: OSError: psychic (set FEATMATCH_DEBUG=1 to see where)\n"),
        (OSError(2, "No such file", b"caf\xe9"), 2, 'featmatch: caf\\351: No such file\n'),
    ],
    ids=repr,
)  # fmt: skip
def test_each_way_to_end_has_its_status_and_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, said: str
) -> None:
    assert status_of(error) == status
    assert capsys.readouterr() == ("", said)


def test_an_interrupt_that_click_passes_on_keeps_its_signal(capsys: pytest.CaptureFixture[str]) -> None:
    aborted = click.Abort()
    aborted.__cause__ = Ended(15)
    assert status_of(aborted) == 143
    assert capsys.readouterr().err.startswith("featmatch: terminated; ")


@pytest.mark.parametrize(("debug", "lines"), [("1", 2), ("0", 1), ("", 1)])
def test_the_traceback_is_shown_on_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, debug: str, lines: int
) -> None:
    monkeypatch.setenv("FEATMATCH_DEBUG", debug)
    assert status_of(FeatmatchError("not so")) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines
    assert said[-1] == "featmatch: not so"


@pytest.mark.parametrize("least", [None, -1, 1 << 30, (1 << 30) - 1])
def test_too_little_address_space_is_refused(monkeypatch: pytest.MonkeyPatch, least: int | None) -> None:
    import resource

    limit = resource.RLIM_INFINITY if least is None else least
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limit, resource.RLIM_INFINITY))
    if limit != (1 << 30) - 1:
        check_memory()
        return
    with pytest.raises(FeatmatchError, match=r"^needs at least 1048576 KB .* is 1048575 KB$"):
        check_memory()
