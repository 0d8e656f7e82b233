"""What is printed, whatever is in it, and wherever it goes: full disks, closed streams, spreadsheets, terminals."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import featmatch
from featmatch import Index, Matches, Vocabulary
from featmatch.__main__ import main as started_main
from featmatch.cli import main
from featmatch.cli.printing import CsvPrinter
from featmatch.names import printable, quoted, unquoted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names and streams are others there")

Photos = dict[str, NDArray[np.uint8]]
Run = Callable[..., tuple[int, str, str]]

HOSTILE = (
    "\x1b]0;owned\a.png", "\x9b31m.png", "two\nlines.png", "\rover.png", "\u202egnp.exe.png", "\u2066.png", "tab\t.png",
    "\u2028.png", "\u200e.png", '"quoted".png', "日本.png", "=1+1.png", "+1.png", "-1.png", "@sum.png", "'=1.png",
)  # fmt: skip
BYTES = (b"caf\xe9.png", b"\x9b31m.png")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process: exit status, standard output and standard error."""
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # main would set it for good

    def run_main(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["featmatch", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run_main


@pytest.fixture(scope="module")
def hostile(photos: Photos, tiny_vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of files that have hostile names, all parts of one photo."""
    folder = tmp_path_factory.mktemp("hostile")
    names = [*HOSTILE, *(map(os.fsdecode, BYTES) if sys.platform == "linux" else ())]
    for number, name in enumerate(names):
        picture = Image.fromarray(photos["chelsea"][number : number + 200, 60:300])
        exif = Image.Exif()
        exif[0x010E] = "\x1b[31mcaption\u202e"
        exif[0x0110] = "=camera\x1b[31m"
        picture.save(folder / name, exif=exif)
    index = Index.open(folder / "i.fm", create=True, vocabulary=tiny_vocabulary, root=folder)
    assert len(index.add([folder / name for name in names], jobs=1, text="=text\x1b[31m\u202e").added) == len(names)
    return folder


COMMANDS = [
    ["list", "INDEX"], ["list", "INDEX", "--json"], ["info", "INDEX"], ["info", "INDEX", "--json"],
    *(["query", "INDEX", "IMAGE", *form] for form in ([], ["--json"], ["--csv"])),
    *(["groups", "INDEX", "--jobs", "1", *form] for form in ([], ["--json"], ["--csv"])),
    *(["explain", "INDEX", "IMAGE", "NAME", *form] for form in ([], ["--json"])),
    *(["verify", "IMAGE", "IMAGE", *form] for form in ([], ["--json"])),
]  # fmt: skip


def filled_in(command: list[str], folder: Path) -> list[str]:
    values = {"INDEX": str(folder / "i.fm"), "IMAGE": str(folder / HOSTILE[0]), "NAME": HOSTILE[1]}
    return [values.get(word, word) for word in command]


def assert_harmless(text: str) -> None:
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert [character for character in text if character != "\n" and unicodedata.category(character) in bad] == []
    text.encode()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_printer_lets_a_stranger_command_the_terminal(run: Run, hostile: Path, command: list[str]) -> None:
    status, out, err = run(*filled_in(command, hostile))
    assert (status, err) == (0, "")
    assert_harmless(out)
    if "--json" in command:
        assert out.isascii()


def test_names_of_a_list_are_understood_by_each_command(
    run: Run, hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def query(index: Index, image: object, **options: object) -> Matches:
        asked.append(image)
        return Matches()

    _, listed, _ = run("list", hostile / "i.fm")
    lines = listed.split("\n")[:-1]
    names = [record.name for record in Index.open(hostile / "i.fm").images()]
    assert lines == [printable(name) for name in names]
    monkeypatch.setattr(Index, "query", query)
    _, out, _ = run("query", hostile / "i.fm", *(quoted(str(hostile / name)) for name in names), "--json")
    assert [json.loads(line)["query"] for line in out.splitlines()] == [str(hostile / name) for name in names] == asked
    status, out, _ = run("explain", "--json", hostile / "i.fm", hostile / names[-1], lines[-1])
    assert (status, json.loads(out)["name"]) == (0, names[-1])
    shutil.copytree(hostile / "i.fm", tmp_path / "i.fm")
    assert run("accept", "--", tmp_path / "i.fm", lines[0], lines[1])[0] == 0
    assert run("reject", "--clear", "--", tmp_path / "i.fm", lines[0], lines[1])[0] == 0
    assert run("remove", "--", tmp_path / "i.fm", *lines) == (0, "", f"removed {len(names)}\n")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode there")
def test_names_that_are_no_unicode_stand_in_quotes_beside(run: Run, hostile: Path) -> None:
    rows = [json.loads(line) for line in run("list", hostile / "i.fm", "--json")[1].splitlines()]
    assert {row["name_quoted"] for row in rows if "name_quoted" in row} == {r'"caf\351.png"', r'"\23331m.png"'}
    for row in rows:
        assert unquoted(row.get("name_quoted", "")) in (None, row["name"])
    members = json.loads(run("groups", hostile / "i.fm", "--json", "--jobs", "1")[1].splitlines()[0])["members"]
    told = [member["names_quoted"] for member in members if "names_quoted" in member]
    assert told == [[r'"caf\351.png"'], [r'"\23331m.png"']]


@pytest.mark.parametrize("command", [["query", "INDEX", "IMAGE", "--csv"], ["groups", "INDEX", "--csv"]], ids=" ".join)
def test_no_cell_is_a_formula_and_numbers_stay_numbers(run: Run, hostile: Path, command: list[str]) -> None:
    command = [*command, "--limit", "99"] if command[0] == "query" else command
    _, out, _ = run(*filled_in(command, hostile))
    rows = list(csv.DictReader(io.StringIO(out)))
    names = {record.name for record in Index.open(hostile / "i.fm").images()}
    cells = [row["name"] for row in rows]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    plain = [cell.removeprefix("'") for cell in cells]
    assert {unquoted(cell) or cell for cell in plain} == names
    assert {cell for cell in cells if cell.startswith("'")} == {
        "'=1+1.png", "'+1.png", "'-1.png", "'@sum.png", "''=1.png",
    }  # fmt: skip
    assert all(float(row["probability"]) > 0 for row in rows)
    assert len(out.splitlines()) == len(rows) + 1


def test_a_cell_that_is_a_number_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    printer = CsvPrinter(["a", "b", "c", "d", "e", "f"])
    printer.print_row({"a": -1.5, "b": "-1.5", "c": None, "d": [-1, 2], "e": "\t=1", "f": "\uff1d1"})
    header, row = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["a", "b", "c", "d", "e", "f"]
    assert row == ["-1.5", "'-1.5", "", "[-1, 2]", r'"\011=1"', "'\uff1d1"]


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


def test_each_message_names_its_file(run: Run, hostile: Path, tmp_path: Path) -> None:
    image, missing = hostile / "日本.png", tmp_path / "nothing.jpg"
    for arguments in (["verify", image, missing], ["explain", hostile / "i.fm", missing, "日本.png"]):
        assert run(*arguments) == (2, "", f"featmatch: {missing}: no such file\n")
    status, _, err = run("query", hostile / "i.fm", missing)
    assert (status, err) == (2, f"featmatch: {missing}: not_found: no such file\n")


# Where it cannot be written


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="has no /dev/full")
@pytest.mark.parametrize("command", [*COMMANDS, ["--help"], ["query", "--help"], ["--version"]], ids=" ".join)
def test_a_full_device_is_one_line(
    run: Run, hostile: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        status, _, err = run(*filled_in(command, hostile))
        assert status == 2
        assert err.startswith("featmatch: ")
        assert err.endswith("No space left on device\n")
        assert len(err.splitlines()) == 1
        monkeypatch.undo()


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="has no /dev/full")
def test_a_file_that_cannot_be_written_is_named(run: Run, hostile: Path, tmp_path: Path) -> None:
    full = tmp_path / "full.png"
    full.symlink_to("/dev/full")
    image, index = hostile / "日本.png", hostile / "i.fm"
    for arguments, why in (
        (["verify", image, image, "--draw", full], "No space left on device"),
        (["groups", index, "--html", full], "is a device or a pipe"),
        (["train", full, image, "--words", "64", "--jobs", "1"], "is a device or a pipe"),
    ):
        status, _, err = run(*arguments)
        assert (status, err) == (2, f"featmatch: cannot write {full}: {why}\n")
    assert Path("/dev/full").is_char_device()


def bare(*arguments: object, shell: str = 'exec "$@"') -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, begun by a shell."""
    command = ["sh", "-c", shell, "sh", sys.executable, "-m", "featmatch", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


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


# What else can go wrong


@pytest.mark.parametrize("limit", ["-n 8", "-n 12", "-n 20", "-v 300000", "-v 600000"])
def test_no_files_and_no_memory_are_one_line(hostile: Path, limit: str) -> None:
    image = hostile / "日本.png"
    ended = bare("query", hostile / "i.fm", image, shell=f'ulimit {limit}; exec "$@"')
    assert ended.returncode in (0, 2)
    assert len(ended.stderr.splitlines()) == (ended.returncode == 2)


@pytest.mark.parametrize("handles", [12, 16, 20, 24])
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
    for arguments in (["list", "i.fm"], ["add", "i.fm", "a.jpg"], ["query", "../i.fm", "a.jpg"], ["check", "i.fm"]):
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


def test_both_ways_to_start_are_one() -> None:
    assert started_main.__module__ == "featmatch.__main__"
    assert bare("--version").stdout == f"featmatch, version {featmatch.__version__}\n"
