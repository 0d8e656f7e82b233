"""Originals that were chosen before are not chosen again, and nobody but the user has a say in that."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featmatch import Index, Vocabulary
from featmatch.grouping import choices, finding
from featmatch.grouping.choices import key_of_group, recall
from featmatch.grouping.choosing import NOT_COMPARED, Choice, Contender


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/featmatch/choices.sqlite"


@pytest.fixture
def index(tmp_path: Path, photo_folder: Path, tiny_vocabulary: Vocabulary) -> Index:
    photos = tmp_path / "photos"
    photos.mkdir()
    with Image.open(photo_folder / "chelsea.png") as picture:
        picture.save(photos / "a.png")
        picture.resize((picture.width // 2, picture.height // 2)).save(photos / "half.png")
    index = Index.open(tmp_path / "i.fm", create=True, vocabulary=tiny_vocabulary)
    index.add([photos], jobs=1)
    return index


def told(index: Index) -> list[object]:
    return [group.to_dict() for group in index.groups(jobs=1)]


def contender(number: int, **changes: object) -> Contender:
    made = Contender(
        number,
        f"{number}.png",
        f"/p/{number}.png",
        np.eye(3),
        False,
        False,
        f"{number:064x}",
        9,
        8,
        70,
        "PNG",
        None,
        None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def no_choice(group: Sequence[Contender]) -> Choice:
    raise AssertionError(f"chosen again: {group}")


def test_the_same_groups_need_no_second_choice(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    first = told(index)
    assert first
    monkeypatch.setattr(finding, "choose", no_choice)
    assert told(index) == first


def test_a_file_that_is_not_at_hand_any_more_is_another_case(index: Index, tmp_path: Path) -> None:
    (before,) = index.groups(jobs=1)
    assert before.marked
    (tmp_path / "photos/a.png").write_bytes((tmp_path / "photos/half.png").read_bytes())
    (after,) = index.groups(jobs=1)
    assert not after.marked


@pytest.mark.parametrize("damage", ["text", "folder", "nonsense", "missing"])
def test_a_broken_cache_costs_time_only(index: Index, cache: Path, damage: str) -> None:
    first = told(index)
    if damage == "nonsense":
        with sqlite3.connect(cache) as connection:
            connection.execute("UPDATE texts SET text = ?", (json.dumps({"original": "none of them"}),))
        connection.close()
    else:
        cache.unlink()
    if damage == "text":
        cache.write_text("no database")
    if damage == "folder":
        cache.mkdir()
    assert told(index) == first


def test_what_could_not_be_compared_is_tried_again(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(group: Sequence[Contender]) -> Choice:
        return Choice(group[0].id, "a guess", {group[1].id: NOT_COMPARED})

    with monkeypatch.context() as patch:
        patch.setattr(finding, "choose", failing)
        patch.setattr("featmatch.system.workers.may_start", lambda: False)
        (guessed,) = index.groups(jobs=1)
    assert guessed.original_by == "a guess"
    (chosen,) = index.groups(jobs=1)
    assert chosen.original_by != "a guess"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x.png"}, {"path": None}, {"placed": np.diag([2.0, 2, 1])}, {"placed": None}, {"negative": True},
        {"is_holder": True}, {"content": "f" * 64}, {"width": 10}, {"bytes": 71}, {"format": "JPEG"},
        {"camera": "one"}, {"taken": "2019"},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_whatever_decides_is_part_of_the_key(changes: dict[str, object]) -> None:
    group = [contender(1), contender(2)]
    assert key_of_group(group) != key_of_group([contender(1, **changes), contender(2)])


def at(folder: Path, number: int) -> Contender:
    """A contender whose file is there, with the content that is said of it."""
    path = folder / f"{number}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"picture %d" % number)
    return contender(number, path=str(path), content=hashlib.sha256(path.read_bytes()).hexdigest())


def test_numbers_and_places_are_not(tmp_path: Path) -> None:
    group = [at(tmp_path / "here", number) for number in (1, 2)]
    elsewhere = [replace(one, id=one.id + 5, path=f"/q{one.path}") for one in group]
    choices.keep(group, Choice(2, "a test", {1: "something"}))
    assert recall([elsewhere, [contender(3)]]) == [Choice(7, "a test", {6: "something"}), None]


@pytest.mark.parametrize("lie", ["another content", "no such file"])
def test_nothing_is_kept_of_files_that_are_not_what_an_index_says(tmp_path: Path, lie: str) -> None:
    true = [at(tmp_path / "here", number) for number in (1, 2)]
    told = replace(true[1], content="f" * 64) if lie == "another content" else replace(true[1], path="/not/there.png")
    choices.keep([true[0], told], Choice(1, "a lie", {2: ""}))
    assert recall([[true[0], told]]) == [None]
    choices.keep(true, Choice(1, "true", {2: ""}))
    assert recall([true]) == [Choice(1, "true", {2: ""})]


def test_a_choice_is_replaced_and_only_the_users_own(tmp_path: Path, cache: Path) -> None:
    group = [at(tmp_path / "here", number) for number in (1, 2)]
    for by in ("one", "another"):
        choices.keep(group, Choice(2, by, {1: ""}))
    assert recall([group]) == [Choice(2, "another", {1: ""})]
    assert cache.parent.stat().st_mode & 0o077 == 0


def test_files_that_are_not_at_hand_need_not_be_read(tmp_path: Path) -> None:
    group = [contender(1, path=None), at(tmp_path / "here", 2)]
    choices.keep(group, Choice(1, "a test"))
    assert recall([group]) == [Choice(1, "a test")]


@pytest.mark.parametrize("text", ["no json", "[]", '{"original": "f"}', '{"original": 1, "by": "x", "own": {"0": ""}}'])
def test_nonsense_in_the_cache_is_no_choice(tmp_path: Path, cache: Path, text: str) -> None:
    group = [at(tmp_path / "here", 1)]
    choices.keep(group, Choice(1, "a test"))
    with sqlite3.connect(cache) as connection:
        connection.execute("UPDATE texts SET text = ?", (text,))
    connection.close()
    assert recall([group]) == [None]
