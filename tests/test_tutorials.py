"""The tutorials, run as written: what they show is what is printed, but for numbers."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest
from click.testing import CliRunner

from featmatch.cli import cli
from tools.demo import bundled_photos, make_copies, make_query

ROOT = Path(__file__).parent.parent
TUTORIALS = ROOT / "docs" / "tutorials"
JAPANESE = ROOT / "docs" / "ja" / "tutorials"
NAMES = sorted(path.name for path in TUTORIALS.glob("*.md"))
SPOKEN_OF = ("astronaut", "chelsea", "chessboard", "coffee", "motorcycle", "rocket")
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"^ {4}\S.*$", re.MULTILINE)
_HEADING = re.compile(r"^#+ ", re.MULTILINE)
_NUMBER = re.compile(r"\d[\d,.]*\d")  # one digit may be a word in one of them
_LINK = re.compile(r"\]\(")
_PROGRESS = re.compile(r"^[a-z ]+: [\d,]+ of [\d,]+ images\n", re.MULTILINE)  # one each ten seconds
_HOME = "/home/me"  # in the texts, for the folder where they run


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Commands, and what the text says that they print."""
    for block in _BLOCK.findall(text):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = step.partition("\n")
            yield command, printed


def pattern_of(printed: str) -> str:
    """A regular expression: any number for a number, anything for a line of three dots."""
    lines = (
        r"(?:.*\n)*?"
        if line == "..."
        else re.sub(r"(?:\\ )*(?:\d+(?:\\\.|,)?)+", r" *[\\d.,]+", re.escape(line)) + "\n"
        for line in printed.splitlines()
    )
    return "".join(lines)


def run(command: str) -> str:
    """What a command prints; featmatch runs in this process, with all modules, and what reads its output in a shell."""
    if not command.startswith("featmatch "):
        return shell(command, b"")
    own, mark, further = re.fullmatch(r"([^|>]*)([|>]?)(.*)", command, re.DOTALL).groups()  # type: ignore[union-attr]
    ended = CliRunner().invoke(cli, shlex.split(own)[1:], prog_name="featmatch")
    return shell(f"cat {mark} {further}", ended.stdout_bytes) if mark else ended.output


def shell(command: str, given: bytes) -> str:
    return subprocess.run(
        ["bash", "-c", command], check=False, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ).stdout.decode()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder as ``tools/demo.py`` leaves it."""
    photos = bundled_photos(tmp_path / "photos")
    for photo in photos:
        if Path(photo).stem.split("_")[0] not in SPOKEN_OF:  # to be quick
            Path(photo).unlink()
    make_copies(photos, tmp_path / "copies")
    make_query(next(photo for photo in photos if "astronaut" in photo), tmp_path / "piece.jpg")
    return tmp_path


@pytest.mark.usefixtures("decoded_here")
@pytest.mark.parametrize("name", ["first-duplicates.md", "find-a-crop.md", "clean-a-collection.md"])
def test_commands_print_what_the_tutorial_says(
    name: str, home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setattr("joblib.cpu_count", lambda: 1)  # so that no command starts processes
    for own in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(own, str(tmp_path_factory.mktemp("own")))
    count = 0
    for command, printed in steps((TUTORIALS / name).read_text(encoding="utf-8")):
        told = _PROGRESS.sub("", run(command)).replace(str(home), _HOME)
        if printed and ("| jq " not in command or which("jq")):
            assert re.fullmatch(pattern_of(printed), told), f"$ {command}\n{told}"
        count += 1
    assert count >= 5


def test_numbers_may_differ_and_nothing_else() -> None:
    assert re.fullmatch(pattern_of("a 0.99 b\n...\n1,204 KB\n"), "a   0.5 b\nx\ny\n17 KB\n")
    assert not re.fullmatch(pattern_of("a 0.99 b\n"), "a 0.99 c\n")
    assert not re.fullmatch(pattern_of("a 0.99 b\n"), "a 0.99 b\nmore\n")


@pytest.mark.parametrize("name", NAMES)
def test_the_japanese_says_the_same(name: str) -> None:
    assert_twins(TUTORIALS / name, JAPANESE / name)


def test_the_japanese_readme_says_the_same() -> None:
    assert_twins(ROOT / "README.md", ROOT / "README.ja.md")


def assert_twins(english: Path, japanese: Path) -> None:
    """Two texts have the same commands and outputs, pictures and sections; only words differ."""
    one, other = (path.read_text(encoding="utf-8") for path in (english, japanese))
    for same in (_FENCE, _INDENTED, _HEADING):
        assert same.findall(other) == same.findall(one)
    assert sorted(_NUMBER.findall(other)) == sorted(_NUMBER.findall(one))  # a language has its own order of words
    assert len(_LINK.findall(other)) == len(_LINK.findall(one))
    assert len(re.findall(r"^\|", other, re.MULTILINE)) == len(re.findall(r"^\|", one, re.MULTILINE))
