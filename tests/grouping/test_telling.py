"""Fillings of a form, and a copy of one, in an index: what groups they make, and what of that is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featmatch import Index, Vocabulary
from featmatch.grouping import telling
from featmatch.system.workers import Lost, in_order
from tests.grouping.test_designs import EVA
from tests.proof.test_difference import ANNA, PAUL, form

FILLED = {"anna": ANNA, "paul": PAUL, "eva": EVA}
TOGETHER = [["anna", "copy", "eva", "paul"]]


@pytest.fixture
def folder(tiny_vocabulary: Vocabulary, tmp_path: Path) -> Path:
    """Three fillings, and a copy of one that is a little darker."""
    for name, filled in FILLED.items():
        Image.fromarray(form(*filled)).save(tmp_path / f"{name}.png")
    page = form(*ANNA)
    Image.fromarray(np.asarray(page - page // 16, np.uint8)).save(tmp_path / "copy.png")
    index = Index.open(tmp_path / "i.fm", create=True, vocabulary=tiny_vocabulary)
    index.add([tmp_path], jobs=1)
    return tmp_path


def grouped(folder: Path) -> list[list[str]]:
    groups = Index.open(folder / "i.fm").groups(jobs=1)
    return sorted(sorted(Path(name).stem for member in group for name in member.names) for group in groups)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many groups were looked at, each time that any were asked for."""
    counts: list[int] = []

    def counted(function: Any, tasks: Any, **options: Any) -> Any:
        given = list(tasks)
        counts.append(len(given))
        return in_order(function, given, **options)

    monkeypatch.setattr(telling, "in_order", counted)
    yield counts


def test_fillings_are_in_no_group_and_their_copies_are(folder: Path) -> None:
    assert grouped(folder) == [["anna", "copy"]]


def test_what_was_told_is_kept_while_files_and_index_are_as_they_were(folder: Path, looked: list[int]) -> None:
    for _ in range(2):
        assert grouped(folder) == [["anna", "copy"]]
    assert looked == [1, 0]
    (folder / "paul.png").rename(folder / "elsewhere.png")
    grouped(folder)
    assert looked == [1, 0, 1]


def test_what_the_user_accepts_is_together(folder: Path) -> None:
    index = Index.open(folder / "i.fm")
    index.accept(str(folder / "anna.png"), str(folder / "paul.png"))
    assert grouped(folder) == [["anna", "copy", "paul"]]


def test_a_lost_process_tells_nothing_and_nothing_is_kept_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(telling, "in_order", lambda function, tasks, **options: (Lost("gone") for _ in tasks))
        assert grouped(folder) == TOGETHER
    assert grouped(folder) == [["anna", "copy"]]


def test_where_files_are_away_the_pictures_in_the_index_tell_what_they_can(folder: Path) -> None:
    for name in (*FILLED, "copy"):
        (folder / f"{name}.png").unlink()
    together = grouped(folder)
    assert any({"anna", "copy"} <= set(one) for one in together)


def test_text_that_is_kept_and_damaged_tells_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "dumps", lambda told: "no json")
    assert grouped(folder) == TOGETHER
