from __future__ import annotations

import csv
import dataclasses
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
from featmatch.grouping.clustering import ImageSize, cluster
from featmatch.grouping.groups import Group, Member
from featmatch.grouping.pairs import Pair
from featmatch.grouping.remembered import is_damaged, recall, remember
from featmatch.grouping.repeating import Repeated
from featmatch.proof.relation import Relation
from featmatch.store.layout import PAIRS
from featmatch.store.reader import Reader


def member(number: int, *names: str, relation: Relation | None = None) -> Member:
    homography = None if relation is None else np.diag([2.0, 2, 1])
    return Member(number, names, 640, 480, 9_000, relation, 1.0, homography, 0 if relation is None else 40)


@pytest.mark.parametrize(
    ("relation", "name", "words"),
    [
        (None, "a.jpg", "original"),
        (Relation("copy", 0.1, 1.01, False, False), "a.JPG", "JPEG copy"),
        (Relation("copy", 0.1, 1.0, False, False), "a.jpg#page=2", "JPEG copy"),
        (Relation("copy", 0.1, 1.0, False, False), "a.png", "copy"),
        (Relation("copy", 0.0, 0.503, False, False), "a.jpg", "same at half size"),
        (Relation("copy", 0.0, 0.3, False, False), "a.jpg", "same at 30% of the size"),
        (Relation("copy", 0.0, 1.0, True, False), "a.jpg", "mirrored"),
        (Relation("copy", 90.0, 2.0, False, True), "a.jpg", "rotated 90°, negative, same at double size"),
        (Relation("crop", 17.0, 1.0, False, False), "a.jpg", "crop of, rotated 17°"),
        (Relation("contains", 0.0, 0.5, True, False), "a.jpg", "contains, mirrored, scaled 0.5"),
    ],
)
def test_a_member_says_in_words_what_was_done(relation: Relation | None, name: str, words: str) -> None:
    assert member(1, name, relation=relation).description() == words


def test_a_group_counts_files_and_has_its_original_first() -> None:
    crop = Relation("crop", 0.0, 1.0, False, False)
    group = Group((member(7, "a.png", "b.png"), member(3, "c.png", relation=crop)))
    assert group.original.id == 7
    assert len(group) == 3
    said = group.to_dict()
    assert said["files"] == 3
    assert [entry["names"] for entry in said["members"]] == [["a.png", "b.png"], ["c.png"]]
    assert said["members"][0]["relation"] is said["members"][0]["homography"] is None
    assert said["members"][1]["relation"] == crop.to_dict()
    assert said["members"][1]["homography"] == [[2, 0, 0], [0, 2, 0], [0, 0, 1]]


def pair(a: int, b: int, homography: NDArray[np.float64], covered_a: float = 1.0, covered_b: float = 1.0) -> Pair:
    """A sure pair; the homography maps px of b to px of a."""
    return Pair(
        b, a, homography, False, False, 80, 90.0, 1.0,
        Repeated(covered_b, 0.6, 1.0), Repeated(covered_a, 0.6, 1.0),
    )  # fmt: skip


def joined(
    count: int, *given: Pair, verdicts: dict[tuple[int, int], bool] | None = None, size: tuple[int, int] = (400, 300)
) -> list[list[int]]:
    images = {number: ImageSize(*size, f"{number:064x}") for number in range(count)}
    keyed = {(min(one.query, one.reference), max(one.query, one.reference)): one for one in given}
    return [sorted(found.members) for found in cluster(images, keyed, "sift", verdicts or {})]


def scaled(factor: float, x: float = 0, y: float = 0) -> NDArray[np.float64]:
    return np.array([[factor, 0, x], [0, factor, y], [0, 0, 1]])


def test_copies_are_joined_through_others() -> None:
    assert joined(5, pair(0, 1, np.eye(3)), pair(1, 2, np.eye(3)), pair(3, 4, np.eye(3))) == [[0, 1, 2], [3, 4]]


def test_a_collage_belongs_to_one_of_the_pictures_that_it_shows() -> None:
    # Image 2 shows 0 and 1 side by side, at half their size.
    left = pair(0, 2, scaled(2), covered_b=0.4)
    right = pair(1, 2, scaled(2, x=-400), covered_b=0.4)
    found = joined(3, left, right)
    assert len(found) == 1
    assert len(found[0]) == 2


def test_pictures_that_hold_parts_of_a_third_stay_apart() -> None:
    parts = [pair(0, other, np.eye(3), covered_a=0.3, covered_b=0.3) for other in (1, 2)]
    copies = [pair(1, 3, np.eye(3)), pair(2, 4, np.eye(3))]
    assert joined(5, *parts, *copies) == [[1, 3], [2, 4]]


def test_what_many_pictures_hold_is_a_stamp() -> None:
    held = [pair(0, other, scaled(4), covered_b=0.1) for other in range(1, 12)]
    assert joined(12, *held[:4]) == [[0, 1, 2, 3, 4]]
    assert joined(12, *held) == []


def test_a_weak_pair_joins_no_two_groups() -> None:
    weak = dataclasses.replace(pair(0, 2, np.eye(3)), evenness=0.45)
    assert 0.8 < weak.probability("sift") < 0.95
    assert joined(3, weak) == [[0, 2]]
    assert joined(4, weak, pair(0, 1, np.eye(3)), pair(2, 3, np.eye(3))) == [[0, 1], [2, 3]]


def test_verdicts_part_and_join() -> None:
    chain = [pair(0, 1, np.eye(3)), pair(1, 2, np.eye(3))]
    assert joined(3, *chain, verdicts={(0, 1): False}) == [[1, 2]]
    assert len(joined(3, *chain, verdicts={(0, 2): False})[0]) == 2
    assert joined(3, verdicts={(0, 2): True}) == [[0, 2]]


@pytest.mark.parametrize("part", ["geometry", "evenness", "share"])
def test_each_kind_of_evidence_has_a_say(part: str) -> None:
    good = pair(0, 1, np.eye(3))
    assert good.probability("sift") > 0.99
    none = Repeated(1.0, 0.02, 1.0)
    worse = {
        "geometry": dataclasses.replace(good, geometry=2.0),
        "evenness": dataclasses.replace(good, evenness=0.2),
        "share": dataclasses.replace(good, in_reference=none, in_query=none),
    }[part]
    assert worse.probability("sift") < 0.5


def test_what_is_remembered_comes_back_and_what_is_damaged_does_not(tmp_path: Path) -> None:
    digests = {1: 11, 2: 12, 3: 2**64 - 1}
    first, second = pair(1, 2, scaled(2, 3, 4)), pair(2, 3, np.eye(3), 0.5)
    remember(tmp_path, [1, 2], [first], digests)
    end = (tmp_path / PAIRS).stat().st_size
    remember(tmp_path, [3], [second], digests)
    known = recall(tmp_path, digests)
    assert known.compared == {1, 2, 3}
    assert list(known.pairs) == [(1, 2), (2, 3)]
    np.testing.assert_array_equal(known.pairs[1, 2].homography, first.homography)
    assert dataclasses.replace(known.pairs[2, 3], homography=second.homography).__dict__ == second.__dict__
    assert recall(tmp_path, {1: 11, 2: 99, 3: 2**64 - 1}).compared == {1, 3}  # another image of that number
    whole = (tmp_path / PAIRS).read_bytes()
    for cut in (end, end + 5, end + 80, len(whole) - 1):  # a run that was killed
        (tmp_path / PAIRS).write_bytes(whole[:cut])
        assert recall(tmp_path, digests).compared == {1, 2}
        assert not is_damaged(tmp_path)
    remember(tmp_path, [3], [second], digests)
    assert (tmp_path / PAIRS).read_bytes() == whole
    for place in (3, 20, 30, 100, end + 1, end + 90, len(whole) - 1):
        changed = bytearray(whole)
        changed[place] ^= 4
        (tmp_path / PAIRS).write_bytes(changed)
        assert is_damaged(tmp_path)
        assert recall(tmp_path, digests).compared in (set(), {1, 2})


def test_what_an_older_version_found_is_passed_over_and_no_damage(tmp_path: Path) -> None:
    (tmp_path / PAIRS).write_bytes(b"featmatch pairs 2\n" + bytes(500))
    assert not is_damaged(tmp_path)
    assert recall(tmp_path, {1: 11}).compared == set()
    remember(tmp_path, [1], [], {1: 11})
    assert recall(tmp_path, {1: 11}).compared == {1}
    assert not is_damaged(tmp_path)
    (tmp_path / PAIRS).write_bytes(b"featmatch pears 2\n")
    assert is_damaged(tmp_path)


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


@pytest.mark.parametrize(("alike", "least", "most"), [(-np.inf, 0.0, 0.001), (0.0, 0.49, 0.51), (4.0, 0.98, 0.99)])
def test_looks_may_prove_what_features_do_not(alike: float, least: float, most: float) -> None:
    nothing = Repeated(1.0, 0.0, 0.0)
    weak = dataclasses.replace(pair(0, 1, np.eye(3)), geometry=0.0, in_reference=nothing, in_query=nothing, alike=alike)
    assert least <= weak.probability("sift") <= most


def test_features_that_are_there_again_speak_against_chance() -> None:
    few = dataclasses.replace(pair(0, 1, np.eye(3)), geometry=5.0)
    again = [dataclasses.replace(few, in_reference=part, in_query=part) for part in (few.in_query, Repeated(1, 0.9, 1))]
    assert again[0].probability("sift") + 0.1 < again[1].probability("sift")
