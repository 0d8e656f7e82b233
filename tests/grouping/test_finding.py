from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from click.testing import CliRunner
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from featmatch import Index, Vocabulary, check
from featmatch.cli import cli
from featmatch.grouping import finding, pairs
from featmatch.grouping.clustering import Cluster
from featmatch.grouping.groups import Group
from featmatch.grouping.pairs import Pair
from featmatch.grouping.placing import ImageSize, Placed
from featmatch.grouping.standing import Standings
from featmatch.store.layout import PAIRS
from featmatch.store.reader import Reader
from featmatch.store.records import ImageRecord
from tests.grouping import made
from tests.grouping.edited import EDITS

HOW_TO = (Path(__file__).parents[2] / "docs" / "how-to" / "groups.md").read_text(encoding="utf-8")


def record_of(number: int, name: str, **facts: Any) -> ImageRecord:
    return replace(ImageRecord(number, name, 90, 5, f"{number:064x}", 400, 300, 50, None), **facts)


def test_members_say_how_they_lie_on_the_original() -> None:
    size = ImageSize(400, 300, "0")
    placed = Placed(2 * made.scaled(0.5), True, False, 0.9, 33)
    member = finding._member([record_of(7, "b.png"), record_of(7, "c.png")], placed, size)
    assert (member.id, member.names, member.width, member.height, member.bytes) == (7, ("b.png", "c.png"), 400, 300, 90)
    assert (member.probability, member.inliers, member.accepted) == (0.9, 33, False)
    assert member.homography is not None
    np.testing.assert_array_equal(member.homography, made.scaled(0.5))  # whatever it was multiplied by
    assert member.relation is not None
    assert (member.relation.mirrored, member.relation.negative) == (True, False)
    looks = finding._member([record_of(7, "b.png")], replace(placed, inliers=0), size)
    assert looks.relation is not None
    assert looks.relation.kind == "whole picture"
    accepted = finding._member([record_of(7, "b.png")], replace(placed, homography=None), size)
    assert (accepted.accepted, accepted.relation, accepted.homography) == (True, None, None)
    assert (accepted.probability, accepted.inliers) == (0.9, 33)


def test_a_group_has_its_original_first() -> None:
    records = {number: [record_of(number, f"{number}.png")] for number in (1, 2, 3)}
    sizes = {number: ImageSize(400, 300, f"{number:064x}") for number in records}
    members = {number: Placed(np.eye(3), False, False, 1.0, 9) for number in records}
    group = finding._group(Cluster(2, members), "a test", sizes, records)
    assert [member.id for member in group] == [2, 1, 3]
    assert group.original_by == "a test"
    assert (group.original.relation, group.original.probability, group.original.inliers) == (None, 1.0, 0)


def test_contenders_go_by_their_best_name(tmp_path: Path) -> None:
    (tmp_path / "long name.png").write_bytes(b"content")
    sha256 = hashlib.sha256(b"content").hexdigest()
    named = record_of(1, "long name.png", bytes=7, sha256=sha256, camera="Canon", taken="2001", format="PNG")
    records = {1: [replace(named, name="gone.png"), named], 2: [record_of(2, "lost.png")]}
    standings = Standings(lambda name: os.path.join(tmp_path, name))
    for record in (*records[1], *records[2]):
        standings.know(record)
    placed = Placed(made.scaled(2), False, True, 1.0, 9, True)
    first, second = finding.contenders_of(
        Cluster(1, {1: placed, 2: Placed(None, False, False, 1, 0)}), records, standings
    )
    assert (first.name, first.path) == ("long name.png", os.path.realpath(tmp_path / "long name.png"))
    assert (first.negative, first.is_holder, first.camera, first.taken) == (True, True, "Canon", "2001")
    assert (first.content, first.bytes, first.format, first.width, first.height) == (sha256, 7, "PNG", 400, 300)
    assert first.placed is placed.homography
    assert (second.name, second.path, second.placed, second.is_holder) == ("lost.png", None, None, False)


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


@pytest.mark.parametrize(
    ("images", "size"), [(5, 100), (100_000, 100), (250_000, 250), (1_000_000, 1000), (9_000_000, 1000)]
)
def test_blocks_grow_with_the_collection_up_to_a_size(images: int, size: int) -> None:
    segments = {1: SimpleNamespace(ids=range(images - 2)), 2: SimpleNamespace(ids=range(2))}
    reader = SimpleNamespace(snapshot=SimpleNamespace(segments=segments))
    assert finding._block_images(cast("Reader", reader)) == size


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


GROUPED = ("sharpened", "oversharpened", "enlarged", "enlarged by Lanczos", "reduced", "reduced a little", "blurred")


@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_the_source_is_the_original_of_its_edits(
    photos: dict[str, NDArray[np.uint8]], tiny_vocabulary: Vocabulary, tmp_path: Path, name: str
) -> None:
    photo = Image.fromarray(photos[name])
    photo.thumbnail((360, 360))
    photo.save(tmp_path / "zzz the source.jpg", quality=92)
    for edit in GROUPED:
        EDITS[edit][0](photo).save(tmp_path / f"{edit[:4]}{GROUPED.index(edit)}.jpg", quality=92)
    for quality in (85, 50):
        photo.save(tmp_path / f"q{quality}.jpg", quality=quality)
    index = Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    index.add([tmp_path], jobs=1)
    (group,) = index.groups(jobs=1)
    assert [Path(one).name for one in group.original.names] == ["zzz the source.jpg"]
    assert group.original_by == "least compressed"
    marked = {Path(one).name for one in group.marked}
    assert {"redu4.jpg", "q85.jpg"} <= marked
    assert not marked & {"enla2.jpg", "enla3.jpg"}  # finer, though of no more detail
    for path in tmp_path.glob("*.jpg"):
        path.rename(path.with_suffix(".away"))
    (group,) = index.groups(jobs=1)
    assert Path(group.original.names[0]).name in ("enla2.jpg", "enla3.jpg")  # by what is stored
    assert group.marked == ()


# The recipe of docs/how-to/groups.md, for real

ODD = (
    "with space.png",
    'it\'s "quoted".png',
    "two\nlines.png",
    "日本の写真.png",
    "-n.png",
    os.fsdecode(b"latin \xe9.png"),
)


def contents(folder: Path) -> dict[str, set[str]]:
    """SHA-256 -> the real files below a folder that have it."""
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), set()).add(str(path))
    return found


@pytest.fixture(scope="module")
def collection(photos: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, copies of them under all kinds of names, links of all kinds, and a second way to each."""
    top = tmp_path_factory.mktemp("marking")
    folder = top / "photos"
    for name in ("2001", "2002", "album"):
        (folder / name).mkdir(parents=True)
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        photo = Image.fromarray(photos[name])
        photo.save(folder / "2001" / f"{name}.png")
        photo.resize((photo.width // 2, photo.height // 2)).save(folder / "2002" / f"{name}.png")  # of equal names
    for name in ODD:
        (folder / "2002" / name).write_bytes((folder / "2001" / "astronaut.png").read_bytes())
        (folder / "album" / name).write_bytes((folder / "2001" / "chelsea.png").read_bytes())
    Image.fromarray(photos["camera"]).save(folder / "2001" / "camera.png")
    (folder / "album" / "0.png").symlink_to("../2001/camera.png")  # sorts before all
    (folder / "0.png").symlink_to("2001/coffee.png")
    os.link(folder / "2001" / "rocket.png", folder / "album" / "rocket.png")
    (top / "mounted").symlink_to("photos")
    return top


def test_the_recipe_of_the_how_to_loses_nothing(
    collection: Path, tiny_vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(collection)
    index = Index.open(collection / "photos.fm", create=True, vocabulary=tiny_vocabulary)
    for spelled in ("photos", str(collection / "photos"), "mounted"):
        index.add([spelled], jobs=1)
    before = contents(collection / "photos")
    groups = index.groups(jobs=1)
    assert len(groups) == 4  # of the camera there are only names
    kept = {
        hashlib.sha256(Path(group.original.names[0]).read_bytes()).hexdigest(): len(group.marked) for group in groups
    }
    assert sorted(kept.values()) == [1, 1, 1 + len(ODD), 1 + len(ODD)]
    printed = CliRunner().invoke(cli, ["groups", "photos.fm", "--print0"]).stdout_bytes
    assert len(printed.split(b"\0")) == 1 + sum(kept.values())
    assert all(os.path.isabs(path) for path in printed.split(b"\0")[:-1])

    recipe = re.search(r"\$ (mkdir aside)\n +\$ (featmatch groups .*--print0 .*)\n", HOW_TO)
    assert recipe is not None
    aside = collection / "aside"
    command = f'featmatch() {{ {shlex.quote(sys.executable)} -m featmatch "$@"; }}\n{recipe[1]}\n{recipe[2]}\n'
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    ended = subprocess.run(["bash", "-c", command], check=False, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")

    left, moved = contents(collection / "photos"), contents(aside)
    assert left.keys() | moved.keys() == before.keys()  # all that there was is somewhere
    assert len(list(aside.iterdir())) == sum(kept.values())
    assert left.keys() >= kept.keys()  # and each original where it was
    assert all(path.exists() for path in (collection / "photos").rglob("*"))  # no link leads nowhere
    assert not any(group.marked for group in index.groups(jobs=1))


def test_the_answers_say_what_is_marked(
    photos: dict[str, NDArray[np.uint8]], tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    photo = Image.fromarray(photos["coffee"])
    photo.save(tmp_path / "coffee.png")
    photo.resize((300, 200)).save(tmp_path / "half.png")
    (tmp_path / "again.png").write_bytes((tmp_path / "half.png").read_bytes())
    (tmp_path / "link.png").symlink_to("coffee.png")
    index = Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    index.add([tmp_path], jobs=1)
    command = ["groups", str(tmp_path / "index"), "--jobs", "1"]
    expected = [str(tmp_path / "half.png"), str(tmp_path / "again.png")]
    (line,) = CliRunner().invoke(cli, [*command, "--json"]).output.splitlines()
    assert json.loads(line)["marked"] == expected
    assert json.loads(line)["files"] == 3
    rows = list(csv.DictReader(io.StringIO(CliRunner().invoke(cli, [*command, "--csv"]).output)))
    assert [row["name"] for row in rows if row["marked"] == "true"] == expected
    assert {row["name"]: row["description"] for row in rows}[str(tmp_path / "link.png")] == "same file"
    assert "link.png  (same file)" in CliRunner().invoke(cli, command).output
    printed = CliRunner().invoke(cli, [*command, "--print0"], standalone_mode=False)
    assert printed.stdout_bytes == b"".join(os.fsencode(name) + b"\0" for name in expected)
    assert printed.return_value == 0
    for path in expected:
        os.unlink(path)
    nothing = CliRunner().invoke(cli, [*command, "--print0"], standalone_mode=False)
    assert (nothing.stdout_bytes, nothing.return_value) == (b"", 1)
    assert CliRunner().invoke(cli, [*command, "--print0", "--json"]).exit_code == 2
