"""Several indexes, read as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featmatch import Index, StoreError, Vocabulary
from featmatch.search.many import SearchOptions, look_up
from featmatch.store.joined import JoinedReader, reader_of
from featmatch.store.numbers import BY_INDEX
from featmatch.store.reader import Reader
from tools.small_index import draw_pictures, small_index


@pytest.fixture
def drawn(tmp_path: Path) -> list[Path]:
    return draw_pictures(tmp_path / "photos", 5)


@pytest.fixture
def indexes(drawn: list[Path], small_words: Vocabulary, tmp_path: Path) -> list[Index]:
    """Two indexes, of three pictures and two; the third is in both."""
    made = [small_index(tmp_path / name, small_words) for name in ("a.fm", "b.fm")]
    for index, some in zip(made, (drawn[:3], drawn[2:4]), strict=True):
        index.add(some, jobs=1)
    return made


@pytest.fixture
def joined(indexes: list[Index]) -> JoinedReader:
    return JoinedReader({index.folder.name: Reader(index.folder) for index in indexes})


def found(reader: Reader, picture: Path) -> list[int]:
    return [match.id for match in look_up(reader, str(picture), SearchOptions(forms="none"))]


def test_all_images_are_found_by_their_numbers(joined: JoinedReader, drawn: list[Path]) -> None:
    assert len(joined) == 5
    # Both indexes call the third picture by the same name; so it has two, which say where it is.
    assert [found(joined, path) for path in drawn] == [[1], [2], [3, 3], [BY_INDEX.number_of(1, 2)], []]
    names = {
        one: [record.name for record in joined.images() if record.id == one] for one in (3, BY_INDEX.number_of(1, 2))
    }
    assert names == {3: [f"{name}:{drawn[2]}" for name in ("a.fm", "b.fm")], BY_INDEX.number_of(1, 2): [str(drawn[3])]}
    for name in (*names[3], *names[BY_INDEX.number_of(1, 2)], str(drawn[2])):
        assert joined.path_of(name) in [str(path) for path in drawn]
        assert joined.picture_of(name) is not None
    assert joined.path_of("nobody") is None
    assert joined.places.names_below(str(drawn[0].parent), names[3]) == names[3]
    assert joined.places.names_below("/elsewhere", names[3]) == []


def test_it_is_as_large_as_all_of_them(joined: JoinedReader, indexes: list[Index]) -> None:
    infos = [index.info() for index in indexes]
    told = joined.info()
    assert (told.images, told.segments, told.pictures) == (5, 2, 5)
    assert told.bytes == sum(info.bytes for info in infos)
    twice = indexes[0].snapshot.catalog.records_of([3])[0].features
    assert told.features == sum(info.features for info in infos) - twice
    assert joined.root is None


def test_what_was_committed_is_seen_and_what_was_there_is_kept(
    joined: JoinedReader, indexes: list[Index], drawn: list[Path]
) -> None:
    before = joined.snapshot
    joined.refresh()
    assert joined.snapshot is before
    indexes[0].add([drawn[4]], jobs=1)
    assert found(joined, drawn[4]) == []
    joined.refresh()
    assert found(joined, drawn[4]) == [4]
    assert [joined.snapshot.segments[key] is segment for key, segment in before.segments.items()] == [True, True]
    indexes[0].remove([drawn[2]])
    joined.refresh()
    assert found(joined, drawn[2]) == [BY_INDEX.number_of(1, 1)]
    assert found(joined, drawn[0]) == [1]


def test_it_is_opened_again_elsewhere(joined: JoinedReader, indexes: list[Index], drawn: list[Path]) -> None:
    again = reader_of(joined.folders)
    assert isinstance(again, JoinedReader)
    assert [found(again, path) for path in drawn] == [found(joined, path) for path in drawn]
    assert type(reader_of(indexes[0].folders)) is Reader
    for name, segment in joined.snapshot.segments.items():
        np.testing.assert_array_equal(segment.ids, again.snapshot.segments[name].ids)


def test_a_problem_of_any_is_told(joined: JoinedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    assert joined.trust_problem is None

    def fail(*_: object) -> frozenset[str]:
        raise StoreError("the record cannot be read")

    monkeypatch.setattr("featmatch.store.whereabouts.trusted_paths", fail)
    again = reader_of(joined.folders)
    assert again.places is not None
    assert again.trust_problem == "the record cannot be read"
