from __future__ import annotations

import dataclasses
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featmatch import Index, UsageError, VotingOptions, check
from featmatch.search.verdicts import judge_each
from featmatch.store.catalog import Catalog
from featmatch.store.writing import become_writer


def opened(folder: Path) -> Index:
    return Index.open(folder / "index", root=folder / "photos")


def found(folder: Path, *, unproven: bool = False) -> list[tuple[str, str | None, bool]]:
    matches = opened(folder).query(folder / "half.png", unproven=unproven)
    return [(match.name, match.verdict, match.proven) for match in matches]


def test_a_rejected_pair_is_not_claimed_but_shown_with_all(folder: Path) -> None:
    assert found(folder) == [("000.png", None, True)]
    before = opened(folder).query(folder / "half.png")[0]
    opened(folder).reject(folder / "half.png", "000.png")
    assert found(folder) == []
    assert ("000.png", "rejected", False) in found(folder, unproven=True)
    after = opened(folder).query((folder / "half.png").read_bytes(), unproven=True)[0]
    assert (after.probability, after.to_dict()["verdict"]) == (before.probability, "rejected")
    assert opened(folder).query(np.asarray(Image.open(folder / "half.png")))[0].verdict is None  # it is no file


def test_a_picture_in_an_archive_is_the_same_picture(folder: Path) -> None:
    opened(folder).reject(folder / "half.png", "000.png")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(folder / "half.png", "x/half.png")
    (match,) = opened(folder).query(f"{folder}/a.zip#member=x/half.png", unproven=True)[:1]
    assert (match.name, match.verdict) == ("000.png", "rejected")


def test_the_later_word_counts_and_can_be_taken_back(folder: Path) -> None:
    index = opened(folder)
    index.reject("000.png", folder / "half.png")
    index.accept(folder / "half.png", "000.png")
    assert index.info().verdicts == 1
    assert found(folder) == [("000.png", "accepted", True)]
    assert index.forget("000.png", folder / "half.png")
    assert not index.forget("000.png", folder / "half.png")
    assert found(folder) == [("000.png", None, True)]
    assert check(folder / "index")


LOOSE = VotingOptions(words=8, hamming_limit=30, voting_limit=30)  # lets pictures that are no copies get that far


def test_an_accepted_pair_is_given_however_short_the_evidence(folder: Path) -> None:
    index, half = opened(folder), folder / "half.png"
    strong, weak, *_ = index.query(half, unproven=True, voting=LOOSE)
    assert (strong.proven, weak.proven) == (True, False)
    index.accept(weak.name, half)
    given = {match.name: (match.verdict, match.probability) for match in index.query(half, voting=LOOSE)}
    assert given == {strong.name: (None, strong.probability), weak.name: ("accepted", weak.probability)}


def test_an_accepted_pair_is_given_however_far_its_rank(folder: Path) -> None:
    index, half, few = opened(folder), folder / "half.png", dataclasses.replace(LOOSE, shortlist=1)
    weak = index.query(half, unproven=True, voting=LOOSE)[-1]
    assert weak.name not in [match.name for match in index.query(half, unproven=True, voting=few)]
    index.accept(half, weak.name)
    assert [match.name for match in index.query(half, voting=few)] == ["000.png", weak.name]
    (folder / "both.png").write_bytes(half.read_bytes())  # the same content under another name
    assert [match.name for match in index.query(folder / "both.png", voting=few, match="000")] == ["000.png"]
    assert weak.name in [match.name for match in index.query(folder / "both.png", voting=few)]


def test_a_verdict_on_other_images_changes_nothing(folder: Path) -> None:
    index = opened(folder)
    index.accept("001.png", "000.png")
    assert found(folder) == [("000.png", None, True)]


def test_a_verdict_goes_with_the_content(folder: Path, tmp_path: Path) -> None:
    index = opened(folder)
    index.reject("000.png", "001.png")
    index.reject(folder / "half.png", "000.png")
    catalog = Catalog(folder / "index" / "catalog.sqlite")
    assert catalog.verdicts() == {(1, 2): False}
    index.remove(["000.png"])
    index.compact()
    assert index.info().verdicts == 2
    (folder / "photos" / "000.png").rename(folder / "photos" / "new.png")
    index.add([folder / "photos"], jobs=1)
    assert ("new.png", "rejected", False) in found(folder, unproven=True)
    assert list(Catalog(folder / "index" / "catalog.sqlite").verdicts().values()) == [False]
    column = next((folder / "index" / "segments").rglob("x.npy"))
    column.write_bytes(column.read_bytes()[:-1] + b"?")
    assert check(folder / "index", repair=True)
    assert opened(folder).info().verdicts == 2


def test_what_is_no_pair_is_a_usage_error(folder: Path) -> None:
    index = opened(folder)
    shutil.copy(folder / "photos" / "000.png", folder / "same.png")
    for a, b in (
        ("000.png", "none.png"),
        ("000.png", "000.png"),
        (folder / "same.png", "000.png"),
        (folder, "000.png"),
    ):
        for say in (index.reject, index.accept, index.forget):
            with pytest.raises(UsageError):
                say(a, b)
    assert index.info().verdicts == 0


def test_many_verdicts_are_one_commit_or_none(folder: Path) -> None:
    index = opened(folder)
    names = [record.name for record in index.images()]
    before = index.snapshot.catalog.stamp
    with become_writer(index), pytest.raises(UsageError, match="no name in the index"):
        judge_each(index, [(names[0], names[1], True), (names[0], "nobody", False)])
    assert index.snapshot.catalog.stamp == before
    with become_writer(index):
        assert judge_each(index, [(names[0], names[1], True), (names[1], names[0], False)]) == [False, True]
    assert list(index.snapshot.catalog.verdicts().values()) == [False]
