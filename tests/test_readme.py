"""What the README says is so."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import featmatch
from featmatch.cli import cli
from featmatch.images.pixels import load_display

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_python_example_runs(
    photos: dict[str, NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    for name, pixels in photos.items():
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.jpg")
    Image.fromarray(photos["coffee"][100:300, 150:400]).rotate(17).save(tmp_path / "piece.jpg")
    Image.fromarray(photos["coffee"]).save(tmp_path / "a.jpg")
    Image.fromarray(photos["coffee"][50:, 50:]).save(tmp_path / "b.jpg")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(example.replace("words=65536", "words=256"), names)  # the shipped size wants more photos than these
    report, matches, proof = names["report"], names["matches"], names["proof"]
    assert isinstance(report, featmatch.AddReport)
    assert len(report.added) == len(photos)
    assert isinstance(matches, featmatch.Matches)
    assert [match.name for match in matches] == ["photos/coffee.jpg"]
    assert isinstance(proof, featmatch.Verification)
    assert proof
    assert isinstance(names["vocabulary"], featmatch.Vocabulary)
    assert load_display(proof.draw()).ndim == 3


def test_commands_are_those_of_the_command_line() -> None:
    told = set(re.findall(r"`featmatch ([\w-]+) (?:INDEX|OUT|A|PATH|FOLDER|new|create)\b", README))
    assert told == set(cli.commands)


TEXTS = [ROOT / "README.md", ROOT / "data" / "README.md", *sorted(ROOT.glob("docs/*.md"))]
_PATH = re.compile(
    r"(?<![\w./-])((?:\.ci|\.github|data|docs|featmatch|tests|tools)/[\w./-]*\w|[\w/-]+\.(?:py|md|css|js|svg))\b"
)
_MODULE = re.compile(r"\bpython -m (tools|featmatch)\.([\w.]+)")


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: str(text.relative_to(ROOT)))
def test_files_that_are_named_are_there(text: Path) -> None:
    content = text.read_text()
    named = set(_PATH.findall(content)) | {
        f"{top}/{'/'.join(rest.split('.'))}.py" for top, rest in _MODULE.findall(content)
    }
    folders = ROOT, ROOT / "featmatch", text.parent
    assert sorted(name for name in named if not any((folder / name).exists() for folder in folders)) == []


def test_files_that_are_named_are_seen() -> None:
    assert {"tools/test", "docs/words.md", "data/README.md", "featmatch/proof/probability.py"} <= set(
        _PATH.findall(README)
    )
    assert len(TEXTS) > 6


def test_every_name_of_the_package_can_be_imported() -> None:
    for name in featmatch.__all__:
        assert getattr(featmatch, name) is not None
    with pytest.raises(AttributeError):
        featmatch.no_such_name  # noqa: B018


def test_statuses_and_errors_are_told() -> None:
    for status in ("too_little_detail", "decode_failed", "too_large", "not_found"):
        assert f"`{status}`" in README
    assert issubclass(featmatch.ImageError, featmatch.FeatmatchError)
