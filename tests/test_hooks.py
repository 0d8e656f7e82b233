"""The hooks of pre-commit and the action of GitHub call commands that are there, and end as they should."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_structure import ROOT

_ACTION = (ROOT / "action.yml").read_text()
_HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text()
_SCRIPT = _ACTION[_ACTION.rindex("run: |") + len("run: |") :].replace("\n        ", "\n")


@pytest.fixture
def data(small_photos: Path, tmp_path: Path) -> Path:
    """Two folders; the test data have a part of a picture of the training data."""
    for folder, name in (("train", "coffee"), ("train", "coins"), ("test", "roof"), ("test", "rocket")):
        (tmp_path / folder).mkdir(exist_ok=True)
        shutil.copy(small_photos / f"{name}.png", tmp_path / folder)
    return tmp_path


def ended(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    program = programs / "featmatch"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m featmatch "$@"\n')
    program.chmod(0o755)
    path = {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=os.environ | path | variables, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("hook", ["featmatch-duplicates", "featmatch-leaks"])
def test_hooks_fail_where_there_are_copies(hook: str, data: Path) -> None:
    told = _HOOKS[_HOOKS.index(f"id: {hook}\n") :]
    entry, arguments = (re.search(rf"^  {key}: (.*)$", told, re.MULTILINE) for key in ("entry", "args"))
    assert entry is not None
    assert arguments is not None
    command = [*shlex.split(entry[1]), *arguments[1].strip("[]").split(", ")]
    found = ended(command, data)
    assert (found.returncode, "roof.png" in found.stdout) == (1, True)
    (data / "test" / "roof.png").unlink()
    assert ended(command, data).returncode == 0


def test_the_action_fails_where_there_are_copies(data: Path) -> None:
    given = {
        "FOLDERS": "train\n\ntest\n", "ACROSS": "true", "MIN_PROBABILITY": "0.8", "FAIL": "true",
        "REPORT": str(data / "report.csv"), "GITHUB_OUTPUT": str(data / "output"),
    }  # fmt: skip
    command = ["bash", "-e", "-c", _SCRIPT]
    found = ended(command, data, **given)
    assert (found.returncode, "roof.png" in found.stdout) == (1, True)
    assert (data / "output").read_text() == f"report={data / 'report.csv'}\n"
    assert ended(command, data, **given | {"FAIL": "false"}).returncode == 0
    assert ended(command, data, **given | {"FOLDERS": "none; touch hacked"}).returncode == 2
    assert not (data / "hacked").exists()
    (data / "test" / "roof.png").unlink()
    found = ended(command, data, **given)
    assert (found.returncode, found.stdout) == (0, "no copies found\n")


def test_no_input_of_the_action_is_part_of_its_script() -> None:
    assert "${{" not in _SCRIPT


def test_the_shell_completes_commands_and_options(data: Path) -> None:
    asked = {"_FEATMATCH_COMPLETE": "bash_complete", "COMP_WORDS": "featmatch similar --b", "COMP_CWORD": "2"}
    assert ended(["featmatch"], data, **asked).stdout == "plain,--by\n"
