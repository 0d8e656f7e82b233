from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from featmatch import Index, StoreError, Vocabulary, check
from featmatch.features.looks import LOOK
from featmatch.images.stored import NO_PICTURE
from featmatch.store import compaction
from featmatch.store.compaction import TIER_SEGMENTS, all_together, due
from featmatch.store.generation import change_catalog, create_catalog
from featmatch.store.layout import segment_folder
from featmatch.store.postings import Postings
from featmatch.store.records import SegmentRecord
from featmatch.store.segment import Segment
from featmatch.store.segment_writer import IndexedImage, write_segment
from featmatch.store.snapshot import Snapshot
from tools.small_index import draw_pictures, small_index


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw_pictures(tmp_path_factory.mktemp("pictures"), 12)


@pytest.fixture
def index(pictures: list[Path], small_words: Vocabulary, tmp_path: Path) -> Index:
    """Four segments, some of their images removed, one of them wholly."""
    index = small_index(tmp_path / "index", small_words)
    for part in (pictures[:5], pictures[5:6], pictures[6:8], pictures[8:]):
        index.add(part, jobs=1)
    index.remove([str(pictures[number]) for number in (1, 5, 9)])
    return index


def answers(index: Index, pictures: list[Path]) -> list[str]:
    """To the bit: JSON has all digits of a float. Other forms of a picture would read the same lists."""
    found = [index.query(picture, unproven=True, forms="none") for picture in pictures]
    return [json.dumps([match.to_dict() | {"score": match.score} for match in matches]) for matches in found]


def record(number: int, features: int, removed: int = 0) -> SegmentRecord:
    return SegmentRecord(number, 1, features, bytes(32), removed, int(removed > 0))


def test_few_segments_are_left_alone() -> None:
    assert due([]) == []
    assert due([record(number, 1000) for number in range(TIER_SEGMENTS - 1)]) == []
    assert due([record(number, 10**number) for number in range(3 * TIER_SEGMENTS) if number < 12]) == []


def test_many_segments_of_a_size_are_due() -> None:
    small = [record(number, 1000 + number) for number in range(TIER_SEGMENTS)]
    large = [record(100 + number, 5_000_000 + number) for number in range(TIER_SEGMENTS)]
    assert due([*small, *large]) == [segment.id for segment in small]
    assert due([*small[1:], *large]) == [segment.id for segment in large]


def test_below_a_quarter_of_a_million_features_all_segments_are_of_one_size() -> None:
    half = [record(number, 1) for number in range(TIER_SEGMENTS // 2)]
    for most, together in ((1 << 18, True), ((1 << 18) + 10, False)):
        other = [record(100 + number, most) for number in range(TIER_SEGMENTS // 2)]
        assert bool(due([*half, *other])) == together


def test_segments_that_would_become_too_large_are_not_due() -> None:
    assert due([record(number, 200_000_000) for number in range(TIER_SEGMENTS)]) == []


def test_a_segment_that_lost_half_of_its_features_is_due() -> None:
    assert due([record(1, 100, 50), record(2, 100, 51), record(3, 100, 99)]) == [2]


def test_adding_small_parts_a_thousand_times_leaves_few_segments() -> None:
    segments: list[SegmentRecord] = []
    written = 0
    for number in range(1000):
        segments.append(record(number, 1000))
        while numbers := due(segments):
            merged = [segment for segment in segments if segment.id in numbers]
            segments = [segment for segment in segments if segment.id not in numbers]
            segments.append(record(numbers[0], sum(segment.features for segment in merged)))
            written += segments[-1].features
    assert len(segments) < 2 * TIER_SEGMENTS
    assert written < 40 * 1000 * 1000


def test_all_together_leaves_what_has_nothing_to_merge() -> None:
    assert all_together([]) == []
    assert all_together([record(1, 100)]) == []
    assert all_together([record(1, 100, 1)]) == [[1]]
    assert all_together([record(1, 100), record(2, 100)]) == [[1, 2]]
    large = 1_500_000_000
    assert all_together([record(1, large), record(2, large), record(3, 5)]) == [[2, 3]]


@pytest.mark.parametrize("part", [1, 100])
def test_compact_keeps_all_answers_to_the_bit(
    index: Index, pictures: list[Path], part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_PART_POSTINGS", part)
    before, images = answers(index, pictures), list(index.images())
    assert any(json.loads(answer) for answer in before)
    index.compact()
    assert answers(index, pictures) == before
    assert list(index.images()) == images
    info = index.info()
    assert (info.segments, info.removed, info.images) == (1, 0, 9)
    assert check(index.folder)
    assert len(os.listdir(index.folder / "segments")) == 1


@pytest.mark.parametrize("many", [False, True])
def test_compact_cuts_lists_as_is_due_and_keeps_all_answers(
    index: Index, pictures: list[Path], many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if many:  # features, so that a hit may differ in few bits
        monkeypatch.setattr("featmatch.search.query_words._MANY_FEATURES", 0)
    before, images = answers(index, pictures), list(index.images())
    first = [json.loads(answer)[0]["name"] for answer in before if json.loads(answer)]
    assert len(first) > 5
    assert index.snapshot.features == sum(record.features for record in index.images())
    for parts in (64, 256) if many else (64, 1, 256):
        for module in ("segment", "segment_writer"):
            monkeypatch.setattr(f"featmatch.store.{module}.parts_for", lambda *_, parts=parts: parts)
        index.compact()
        assert [segment.parts for segment in index.snapshot.segments.values()] == [parts]
        assert check(index.folder)
        assert list(index.images()) == images
        after = answers(index, pictures)
        if many or parts == 1:  # else the nearest of several hits counts whole, no longer the first
            assert after == before
        assert [json.loads(answer)[0]["name"] for answer in after if json.loads(answer)] == first


@pytest.mark.parametrize("kept", [True, False])
def test_pictures_are_merged_with_their_images(index: Index, pictures: list[Path], kept: bool, tmp_path: Path) -> None:
    more = draw_pictures(tmp_path / "more", 2, seed=5)
    index.add(more, jobs=1, pictures=kept)
    index.remove([str(pictures[6]), str(more[0])])
    names = [record.name for record in index.images()]
    before = {name: index.picture_of(name) for name in names}
    assert [name for name in names if before[name] is None] == ([] if kept else [str(more[1])])
    index.compact()
    for name, picture in before.items():
        np.testing.assert_array_equal(index.picture_of(name), picture)
    assert index.info().pictures == len(names) - (not kept)
    assert check(index.folder)


def test_compact_of_what_is_compact_changes_nothing(index: Index) -> None:
    index.compact()
    before = index.snapshot
    index.compact()
    assert index.snapshot is before


def test_compact_of_an_index_without_images_leaves_no_segment(index: Index) -> None:
    index.remove([image.name for image in index.images()])
    index.compact()
    assert os.listdir(index.folder / "segments") == []
    assert index.info().segments == index.info().removed == 0
    assert check(index.folder)


def test_a_compacted_index_is_added_to_and_removed_from(index: Index, pictures: list[Path]) -> None:
    index.compact()
    assert index.remove([str(pictures[3])]) == [str(pictures[3])]
    assert index.query(pictures[3]) == []
    assert index.add(pictures, jobs=1).added == [str(pictures[number]) for number in (1, 3, 5, 9)]
    index.compact()
    for picture in pictures:
        assert [match.name for match in index.query(picture)] == [str(picture)]
    assert check(index.folder)


def test_readers_keep_what_they_opened_while_segments_are_merged(index: Index, pictures: list[Path]) -> None:
    reader = Index.open(index.folder)
    before = answers(reader, pictures)
    index.compact()
    assert answers(reader, pictures) == before
    reader.refresh()
    assert len(reader.snapshot.segments) == 1
    assert answers(reader, pictures) == before


def test_a_reader_that_opens_while_segments_are_merged_looks_again(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    opened = Segment.open

    def opened_late(folder: Path, words: int, manifest: bytes) -> Segment:
        if not calls:
            calls.append(folder)
            index.compact()
        return opened(folder, words, manifest)

    monkeypatch.setattr(Segment, "open", opened_late)
    assert len(Index.open(index.folder).snapshot.segments) == 1
    assert calls


def test_what_is_damaged_is_not_merged(index: Index) -> None:
    path = segment_folder(index.folder, 1) / "signature.npy"
    column = np.load(path)
    column[0] ^= np.uint64(1)
    np.save(path, column)
    with pytest.raises(StoreError, match=r"signature\.npy"):
        index.compact()
    assert len(Index.open(index.folder).snapshot.segments) == 4


def test_adding_merges_by_itself(
    pictures: list[Path], small_words: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "TIER_SEGMENTS", 3)
    index = small_index(tmp_path / "index", small_words)
    one_go = small_index(tmp_path / "one go", small_words)
    counts = []
    for picture in pictures[:8]:
        index.add([picture], jobs=1)
        counts.append(index.info().segments)
    assert max(counts) < 3
    one_go.add(pictures[:8], jobs=1)
    assert answers(index, pictures[:8]) == answers(one_go, pictures[:8])
    assert check(tmp_path / "index")
    assert len(os.listdir(tmp_path / "index" / "segments")) == counts[-1]


def test_a_long_addition_merges_as_it_goes(
    index: Index, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "TIER_SEGMENTS", 3)
    monkeypatch.setattr("featmatch.adding.batches.BATCH_IMAGES", 1)
    most = 0

    def progress(done: int, total: int) -> None:
        nonlocal most
        most = max(most, len(os.listdir(index.folder / "segments")))

    index.remove([image.name for image in index.images()])
    assert len(index.add(pictures, jobs=1, progress=progress).added) == len(pictures)
    assert most <= 4 + 2  # the four that were there before
    assert index.info().segments < 3


def test_memory_does_not_grow_with_the_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    words, postings, segments = 500, 100_000, 6
    create_catalog(tmp_path / "catalog.sqlite", {})
    for number in range(1, segments + 1):
        columns = {"signature": np.uint64, "x": np.uint16, "y": np.uint16, "angle": np.uint8, "size": np.uint8}
        made = {name: random.integers(256, size=postings).astype(kind) for name, kind in columns.items()}
        image = IndexedImage(
            10, 10, random.integers(words, size=postings).astype(np.int32),
            Postings(image=np.zeros(postings, np.uint32), **made), np.uint64(number), np.zeros(1, LOOK)[0],
            NO_PICTURE,
        )  # fmt: skip
        with change_catalog(tmp_path / "catalog.sqlite") as change:
            change.name(str(number), change.add_image(f"{number:064x}", 1, (10, 10), postings, number), 1)
            manifest = write_segment(segment_folder(tmp_path, number), [image], [number], words)
            change.add_segment(number, 1, postings, manifest)
    monkeypatch.setattr("featmatch.system.arrays.MAPPED_BYTES", 0)
    monkeypatch.setattr(compaction, "_PART_POSTINGS", 10_000)
    snapshot = Snapshot.open(tmp_path, words)
    tracemalloc.start()
    try:
        compaction.merge(tmp_path, snapshot, list(snapshot.segments), words)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    (merged,) = Snapshot.open(tmp_path, words).segments.values()
    assert len(merged.postings.x) == segments * postings
    assert peak < 4_000_000  # of 11 MB


@pytest.mark.parametrize(
    ("most", "parts"),
    [(5, [(0, 3), (3, 6)]), (3, [(0, 2), (2, 3), (3, 4), (4, 6)]), (10, [(0, 6)])],
)
def test_parts_are_as_large_as_may_be_and_one_word_at_least(
    most: int, parts: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_PART_POSTINGS", most)
    sources = [  # together [0, 2, 2, 5, 9, 9, 10]
        compaction._Source(SimpleNamespace(lists=np.array(offsets, np.uint32)), np.empty(0, np.int64))  # type: ignore[arg-type]
        for offsets in ([0, 2, 2, 4, 6, 6, 6], [0, 0, 0, 1, 3, 3, 4])
    ]
    assert list(compaction._parts(sources, 6)) == parts
