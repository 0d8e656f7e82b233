from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

import featmatch
from featmatch.cli import cli
from tests.cli.conftest import Run


def test_help_names_all_commands_each_with_a_whole_line(run: Run) -> None:
    for option in ("--help", "-h"):
        helped = run(option)
        assert helped.status == 0
        lines = helped.out.partition("\nCommands:\n")[2].splitlines()
        assert [line.split()[0] for line in lines] == [
            "add", "query", "verify", "explain", "similar", "groups", "dedupe", "pairs", "remove", "list",
            "info", "reject", "accept", "compact", "check", "train", "evaluate", "serve", "serve-key", "cluster",
        ]  # fmt: skip
        assert not [line for line in lines if line.endswith("...")]


@pytest.mark.parametrize("command", cli.commands)
def test_each_command_explains_itself_and_all_its_options(run: Run, command: str) -> None:
    helped = run(command, "--help")
    assert helped.status == 0
    assert f"Usage: featmatch {command} " in helped.out
    for parameter in cli.commands[command].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_the_version_is_told(run: Run) -> None:
    assert featmatch.__version__ in run("--version").out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"], ["query"], ["add", "x.fm"], ["verify", "a.jpg"], ["query", "x.fm", "a.jpg", "--no-such-option"],
        ["query", "x.fm", "a.jpg", "--limit", "0"], ["query", "x.fm", "a.jpg", "--json", "--csv"],
        ["add", "x.fm", "a.jpg", "--features", "psychic"],
    ],
)  # fmt: skip
def test_misuse_is_an_error_and_does_nothing(
    run: Run, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err
    assert list(tmp_path.iterdir()) == []


def test_importing_featmatch_loads_nothing_heavy() -> None:
    code = "import featmatch, sys; print(sorted({'cv2', 'scipy'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [["query", "crop"], ["list"], ["info"], ["remove", "crop"], ["compact"], ["check"]])
def test_what_is_no_index_is_an_error(run: Run, command: list[str], pictures: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "diary.txt").write_text("dear diary")
    for folder in (tmp_path / "nowhere", tmp_path / "other", pictures["text"]):
        ended = run(command[0], folder, *(pictures[name] for name in command[1:]))
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("featmatch: ")
        assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "nowhere").exists()
