from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from featmatch import Index, Vocabulary, check
from featmatch.cli import cli
from featmatch.grouping import finding, pairs
from featmatch.grouping.groups import Group
from featmatch.grouping.pairs import Pair
from featmatch.store.layout import PAIRS
from featmatch.store.reader import Reader


@pytest.fixture(scope="module")
def copies(photos: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos with copies: a half-size JPEG, a mirrored one, a crop, and the same bytes under two names."""
    folder = tmp_path_factory.mktemp("copies")
    for name in ("astronaut", "camera", "chelsea", "coffee", "rocket"):
        picture = Image.fromarray(photos[name])
        picture.thumbnail((400, 400))
        picture.save(folder / f"{name}.png")
        if name == "astronaut":
            picture.resize((picture.width // 2, picture.height // 2)).save(folder / "astronaut-half.jpg")
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "astronaut-mirrored.jpg")
        if name == "chelsea":
            picture.crop((80, 40, 280, 200)).save(folder / "chelsea-crop.png")
    (folder / "rocket-again.png").write_bytes((folder / "rocket.png").read_bytes())
    return folder


def told(groups: list[Group]) -> dict[str, str]:
    return {
        Path(name).name: member.description() for group in groups for member in group.members for name in member.names
    }


def test_an_index_is_grouped_and_goes_on_from_there(
    copies: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    index.add([copies], jobs=1)
    seen: list[tuple[int, int]] = []
    found = index.groups(jobs=1, progress=lambda done, total: seen.append((done, total)))
    assert told(found) == {
        "astronaut.png": "original", "astronaut-half.jpg": "same at half size", "astronaut-mirrored.jpg": "mirrored",
        "chelsea.png": "original", "chelsea-crop.png": "crop of",
        "rocket.png": "original", "rocket-again.png": "original",
    }  # fmt: skip
    assert [len(group) for group in found] == [3, 2, 2]
    assert found.unremembered is None
    assert seen[0] == (0, 8)
    assert seen[-1] == (8, 8)
    half = next(member for member in found[0].members if member.description() == "same at half size")
    assert half.homography is not None
    np.testing.assert_allclose(half.homography @ [0, 0, 1], [0.5, 0.5, 1], atol=1.5)
    compared: list[int] = []
    original = finding.compare_block

    def counted(reader: Reader, block: list[int], earlier: NDArray[np.int64]) -> list[Pair]:
        compared.extend(block)
        return original(reader, block, earlier)

    monkeypatch.setattr(finding, "compare_block", counted)
    assert [group.to_dict() for group in index.groups(jobs=1)] == [group.to_dict() for group in found]
    assert not compared
    Image.open(copies / "coffee.png").convert("L").save(tmp_path / "coffee-grey.jpg")
    index.add([tmp_path / "coffee-grey.jpg"], jobs=1)
    index.remove([str(copies / "chelsea.png")])
    after = told(index.groups(jobs=1))
    assert len(compared) == 1
    assert "coffee-grey.jpg" in after
    assert "chelsea-crop.png" not in after


def test_what_cannot_be_kept_is_said(copies: Path, tiny_vocabulary: Vocabulary, tmp_path: Path) -> None:
    index = Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    index.add([copies], jobs=1)
    with FileLock(tmp_path / "index" / "writer.lock"):
        found = index.groups(jobs=1)
    assert len(found) == 3
    assert found.unremembered is not None
    assert not (tmp_path / "index" / PAIRS).exists()


def test_the_command_prints_groups(copies: Path, tiny_vocabulary: Vocabulary, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    Index.open(folder, create=True, vocabulary=tiny_vocabulary)
    runner = CliRunner()
    assert runner.invoke(cli, ["groups", str(folder)], standalone_mode=False).return_value == 1
    Index.open(folder).add([copies], jobs=1)
    table = runner.invoke(cli, ["groups", str(folder), "--jobs", "1"], standalone_mode=False)
    assert table.return_value == 0
    assert "group 1, 3 files:" in table.output
    assert "identical bytes" in table.output
    lines = [json.loads(line) for line in runner.invoke(cli, ["groups", str(folder), "--json"]).output.splitlines()]
    assert [line["files"] for line in lines] == [3, 2, 2]
    rows = list(csv.DictReader(io.StringIO(runner.invoke(cli, ["groups", str(folder), "--csv"]).output)))
    assert len(rows) == 7
    assert {row["group"] for row in rows} == {"1", "2", "3"}
    assert runner.invoke(cli, ["groups", str(folder), "--csv", "--json"]).exit_code == 2


def test_check_sees_a_changed_byte_and_mends_it(copies: Path, tiny_vocabulary: Vocabulary, tmp_path: Path) -> None:
    index = Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    index.add([copies], jobs=1)
    expected = [group.to_dict() for group in index.groups(jobs=1)]
    assert check(tmp_path / "index")
    file = tmp_path / "index" / PAIRS
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    report = check(tmp_path / "index")
    assert [PAIRS in problem for problem in report.problems] == [True]
    assert [group.to_dict() for group in index.groups(jobs=1)] == expected
    file.write_bytes(content)
    assert check(tmp_path / "index", repair=True)
    assert [group.to_dict() for group in index.groups(jobs=1)] == expected


def test_pictures_with_few_features_are_joined_by_their_looks(
    tiny_vocabulary: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "_LEAST_GEOMETRY", np.inf)  # soft blobs have some, too
    random = np.random.default_rng(4)
    for name in ("a", "b", "c"):
        blobs = Image.fromarray(random.integers(0, 256, (6, 8, 3)).astype(np.uint8))
        blobs.resize((320, 240), Image.Resampling.BICUBIC).save(tmp_path / f"{name}.png")
    Image.open(tmp_path / "a.png").resize((96, 72)).save(tmp_path / "a-small.png")
    index = Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    index.add([tmp_path / name for name in ("a.png", "b.png", "c.png", "a-small.png")], jobs=1)
    found = index.groups(jobs=1)
    assert told(found) == {"a.png": "original", "a-small.png": "whole picture, scaled 0.3"}
    assert found[0].members[1].homography is not None
    np.testing.assert_allclose(found[0].members[1].homography @ [95, 71, 1], [317.83, 237.83, 1], atol=0.1)
    assert [group.to_dict() for group in index.groups(jobs=1)] == [group.to_dict() for group in found]
