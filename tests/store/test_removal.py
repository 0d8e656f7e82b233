from __future__ import annotations

from pathlib import Path

import pytest

from featmatch import Index
from featmatch.store.reader import Reader
from featmatch.store.removal import remove_images


@pytest.fixture
def reader(folder: Path) -> Reader:
    return Reader(folder)


def test_those_that_were_in_are_returned_as_they_were_called(
    reader: Reader, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = built.parent / "pictures"
    monkeypatch.chdir(pictures)
    first, second = str(pictures / "000.png"), "./001.png"
    assert remove_images(reader, [first, "never.png", second, first]) == [first, second]
    reader.refresh()
    assert [record.name for record in reader.images()] == [str(pictures / f"00{number}.png") for number in (2, 3)]
    assert remove_images(reader, [first, second]) == []


def test_two_ways_to_call_one_image_remove_it_once(
    reader: Reader, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built.parent / "pictures")
    both = ["000.png", str(built.parent / "pictures" / "000.png")]
    assert remove_images(reader, both) == both
    reader.refresh()
    assert (len(reader), reader.info().removed) == (3, 1)


def test_files_are_left_alone_and_no_longer_found(reader: Reader, built: Path, folder: Path) -> None:
    picture = built.parent / "pictures" / "000.png"
    remove_images(reader, [str(picture)])
    assert picture.is_file()
    assert Index.open(folder).query(picture) == []
