"""What is printed, whatever is in it, and wherever it goes: full disks, spreadsheets, terminals."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from featmatch import Index, Matches
from featmatch.cli.printing import CsvPrinter, print_object, say, say_bytes
from featmatch.errors import FeatmatchError
from featmatch.names import printable, quoted, unquoted
from featmatch.system.ending import BROKEN_PIPE, Ended
from tests.cli.conftest import Run, assert_harmless, filled_in

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names and streams are others there")

COMMANDS = [
    ["list", "INDEX"], ["list", "INDEX", "--json"], ["info", "INDEX"], ["info", "INDEX", "--json"],
    *(["query", "INDEX", "IMAGE", *form] for form in ([], ["--json"], ["--csv"])),
    *(["groups", "INDEX", "--jobs", "1", *form] for form in ([], ["--json"], ["--csv"])),
    *(["explain", "INDEX", "IMAGE", "NAME", *form] for form in ([], ["--json"])),
    *(["verify", "IMAGE", "IMAGE", *form] for form in ([], ["--json"])),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_printer_lets_a_stranger_command_the_terminal(run: Run, hostile: Path, command: list[str]) -> None:
    status, out, err = run(*filled_in(command, hostile))
    told = [line for line in err.splitlines() if not line.endswith(" MB")]  # the totals of groups
    assert (status, told) == (0, [])
    assert_harmless(out)
    if "--json" in command:
        assert out.isascii()


def test_names_of_a_list_are_understood_by_each_command(
    run: Run, hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def query_many(index: Index, images: Iterable[object], **options: object) -> Iterator[Matches]:
        for image in images:
            asked.append(image)
            yield Matches()

    _, listed, _ = run("list", hostile / "i.fm")
    lines = listed.split("\n")[:-1]
    names = [record.name for record in Index.open(hostile / "i.fm").images()]
    assert lines == [printable(name) for name in names]
    monkeypatch.setattr(Index, "query_many", query_many)
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


def test_a_line_is_one_line_and_bytes_are_as_they_are(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    say("two\nlines\x1b[31m")
    say("日本")
    say_bytes(b"\xff\0")
    assert capsysbinary.readouterr().out == "two\\012lines\\033[31m\n日本\n".encode() + b"\xff\0"


def test_objects_have_quoted_forms_beside_what_is_no_unicode(capsys: pytest.CaptureFixture[str]) -> None:
    bad = os.fsdecode(b"\xe9")
    print_object({"a": "é", "b": bad, "c": [bad, 1, "x"], "d": [{"e": bad}, 2], "f": {"g": ["x"]}})
    line = capsys.readouterr().out
    assert line.isascii()
    assert json.loads(line) == {
        "a": "é", "b": bad, "b_quoted": r'"\351"', "c": [bad, 1, "x"], "c_quoted": [r'"\351"', 1, r'"x"'],
        "d": [{"e": bad, "e_quoted": r'"\351"'}, 2], "f": {"g": ["x"]},
    }  # fmt: skip


def test_rows_stand_below_a_header_each_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    printer = CsvPrinter(["a", "b"])
    assert capsys.readouterr().out == "a,b\n"
    printer.print_row({"b": 1})
    assert capsys.readouterr().out == ",1\n"
    printer.print_row({"a": 'x, "y"', "b": {"c": [1]}})
    assert capsys.readouterr().out == '"x, ""y""","{""c"": [1]}"\n'
    with pytest.raises(ValueError, match="c"):
        printer.print_row({"c": 1})


PRINTERS: dict[str, Callable[[], object]] = {
    "line": lambda: say("a"), "bytes": lambda: say_bytes(b"a"), "object": lambda: print_object({}),
    "rows": lambda: CsvPrinter("a"),
}  # fmt: skip


@pytest.mark.parametrize("form", PRINTERS)
def test_output_that_cannot_be_written_ends_the_run(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    def fail(*content: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("click.echo", fail)
    error: OSError = BrokenPipeError(errno.EPIPE, "Broken pipe")
    with pytest.raises(Ended) as ended:
        PRINTERS[form]()
    assert ended.value.signal == BROKEN_PIPE
    error = OSError(errno.ENOSPC, "No space left")
    with pytest.raises(FeatmatchError, match=r"^cannot write to standard output: No space left$"):
        PRINTERS[form]()


def test_a_cell_that_is_a_number_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    printer = CsvPrinter(["a", "b", "c", "d", "e", "f"])
    printer.print_row({"a": -1.5, "b": "-1.5", "c": None, "d": [-1, 2], "e": "\t=1", "f": "\uff1d1"})
    header, row = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["a", "b", "c", "d", "e", "f"]
    assert row == ["-1.5", "'-1.5", "", "[-1, 2]", r'"\011=1"', "'\uff1d1"]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="has no /dev/full")
@pytest.mark.parametrize(
    "command", [*COMMANDS[:7], *COMMANDS[-2:], ["--help"], ["query", "--help"], ["--version"]], ids=" ".join
)
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
