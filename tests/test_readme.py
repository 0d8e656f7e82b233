"""What README and documentation say is so."""

from __future__ import annotations

import re
from pathlib import Path

import click
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import featmatch
from featmatch.cli import cli
from featmatch.images.pixels import load_display

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = ROOT / "docs" / "reference"
TEXTS = [
    *sorted(ROOT.glob("README*.md")), ROOT / "data" / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]  # fmt: skip
_PATH = re.compile(
    r"(?<![\w./-])((?:\.ci|\.github|data|docs|featmatch|tests|tools)/[\w./-]*\w|[\w/-]+\.(?:py|md|css|js|svg))\b"
)
_MODULE = re.compile(r"\bpython -m (tools|featmatch)\.([\w.]+)")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[\w-]*)?\)")
_CALL = re.compile(r"([$|] |`|^    )featmatch ([a-z][^|`;&>\n]*(?:\\\n[^|`;&>\n]*)*)", re.MULTILINE)
_SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def of(text: Path) -> str:
    return str(text.relative_to(ROOT))


@pytest.fixture
def at_home(photos: dict[str, NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that examples speak of."""
    (tmp_path / "photos").mkdir()
    for name, pixels in photos.items():
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.jpg")
    Image.fromarray(photos["coffee"][100:300, 150:400]).rotate(17).save(tmp_path / "piece.jpg")
    Image.fromarray(photos["coffee"]).save(tmp_path / "a.jpg")
    Image.fromarray(photos["coffee"][50:, 50:]).save(tmp_path / "b.jpg")
    monkeypatch.chdir(tmp_path)


def example(text: str) -> str:
    (found,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert isinstance(found, str)
    return found


@pytest.mark.usefixtures("at_home")
def test_python_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(example(README), {})
    assert capsys.readouterr().out.startswith("photos/coffee.jpg 0.99")


@pytest.mark.usefixtures("at_home")
def test_python_example_of_the_reference_runs() -> None:
    names: dict[str, object] = {}
    program = example((REFERENCE / "python.md").read_text(encoding="utf-8"))
    exec(program.replace("words=65536", "words=256"), names)  # the shipped size wants more photos than these
    report, matches, proof = names["report"], names["matches"], names["proof"]
    assert isinstance(report, featmatch.AddReport)
    assert len(report.added) == 8
    assert isinstance(matches, featmatch.Matches)
    assert [match.name for match in matches] == ["photos/coffee.jpg"]
    assert isinstance(proof, featmatch.Verification)
    assert proof
    assert isinstance(names["vocabulary"], featmatch.Vocabulary)
    assert load_display(proof.draw()).ndim == 3


def test_every_public_name_is_in_the_reference() -> None:
    told = re.findall(r"^\.\. auto\w+:: featmatch\.(\w+)$", (REFERENCE / "python.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(featmatch.__all__)


def test_commands_are_those_of_the_command_line() -> None:
    page = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`featmatch ([\w-]+) (?:INDEX|OUT|A|PATH|FOLDER|new|create)\b", page))
    assert told == set(cli.commands)


@pytest.mark.parametrize("text", TEXTS, ids=of)
def test_options_that_are_named_are_there(text: Path) -> None:
    content = text.read_text(encoding="utf-8")
    content += "".join(f"    {line}\n" for block in _SHELL.findall(content) for line in block.splitlines())
    for before, call in _CALL.findall(content):
        words = call.split()
        command: click.Command = cli
        while isinstance(command, click.Group) and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        assert command is not cli, call
        options = {form for one in command.params for form in [*one.opts, *one.secondary_opts]} | {"--help", "--"}
        named = {word.split("=")[0] for word in words if word.startswith("--")}
        assert named <= options, call
        if before != "`":
            assert all(named & {*one.opts} for one in command.params if one.required and one.opts[0][0] == "-"), call


@pytest.mark.parametrize("text", TEXTS, ids=of)
def test_files_that_are_named_are_there(text: Path) -> None:
    content = text.read_text(encoding="utf-8")
    named = set(_PATH.findall(content)) | {
        f"{top}/{'/'.join(rest.split('.'))}.py" for top, rest in _MODULE.findall(content)
    }
    folders = ROOT, ROOT / "featmatch", text.parent
    assert sorted(name for name in named if not any((folder / name).exists() for folder in folders)) == []
    assert [link for link in _LINK.findall(content) if not (text.parent / link).exists()] == []


def test_files_that_are_named_are_seen() -> None:
    assert {"tools/docs", "docs/install.md", "docs/page/found.webp"} <= set(_PATH.findall(README))
    assert {"docs/tutorials/serve.md", "CHANGELOG.md"} <= set(_LINK.findall(README))
    assert len(TEXTS) > 40


def test_every_name_of_the_package_can_be_imported() -> None:
    for name in featmatch.__all__:
        assert getattr(featmatch, name) is not None
    with pytest.raises(AttributeError):
        featmatch.no_such_name  # noqa: B018


def test_statuses_and_errors_are_told() -> None:
    told = (REFERENCE / "statuses.md").read_text(encoding="utf-8")
    for status in ("ok", "too_little_detail", "decode_failed", "too_large", "not_found", "partial"):
        assert f"`{status}`" in told
    assert issubclass(featmatch.ImageError, featmatch.FeatmatchError)
