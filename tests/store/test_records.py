from __future__ import annotations

from typing import Any

import pytest

from featmatch.store.records import ImageRecord, SegmentRecord, Totals, stamp_of_row
from featmatch.store.values import MOST, MOST_SIDE

IMAGE = (1, "a.jpg", 100, -5, "AB" * 32, 640, 480, 10, "of the sea", "JPEG", "2019-05-01", "a camera", "a caption")
SEGMENT = (3, 2, 20, bytes(32), 5, 1)
MOST_ROWS = (1 << 32) - 1


def with_value(row: tuple[Any, ...], place: int, value: object) -> tuple[Any, ...]:
    return (*row[:place], value, *row[place + 1 :])


def test_an_image_is_read_column_by_column() -> None:
    assert ImageRecord.of_row(IMAGE) == ImageRecord(
        id=1, name="a.jpg", bytes=100, mtime_ns=-5, sha256="ab" * 32, width=640, height=480, features=10,
        text="of the sea", format="JPEG", taken="2019-05-01", camera="a camera", caption="a caption",
    )  # fmt: skip
    assert ImageRecord.of_row((*IMAGE[:8], *[None] * 5)).text is None


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 1), (2, 0), (2, MOST), (3, -MOST), (3, MOST), (5, 1), (5, MOST_SIDE), (6, 1), (6, MOST_SIDE), (7, 0),
     (7, MOST_ROWS)],
)  # fmt: skip
def test_an_image_may_be_at_the_bounds(place: int, value: int) -> None:
    assert ImageRecord.of_row(with_value(IMAGE, place, value))


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 0), (1, 7), (2, -1), (2, MOST + 1), (3, -MOST - 1), (3, MOST + 1), (4, "ab"), (5, 0), (5, MOST_SIDE + 1),
     (6, 0), (6, MOST_SIDE + 1), (7, -1), (7, MOST_ROWS + 1), (8, 1), (9, 1), (10, 1), (11, 1), (12, b"")],
)  # fmt: skip
def test_an_image_beyond_the_bounds_is_refused(place: int, value: object) -> None:
    with pytest.raises(ValueError, match=" is no "):
        ImageRecord.of_row(with_value(IMAGE, place, value))


def test_a_segment_is_read_column_by_column() -> None:
    record = SegmentRecord.of_row(SEGMENT)
    assert record == SegmentRecord(
        id=3, images=2, features=20, manifest=bytes(32), removed_features=5, removed_images=1
    )
    assert record.live_features == 15


@pytest.mark.parametrize(("place", "value"), [(0, 1), (1, MOST_ROWS), (2, MOST_ROWS), (4, 0), (4, 20), (5, 0), (5, 2)])
def test_a_segment_may_be_at_the_bounds(place: int, value: int) -> None:
    assert SegmentRecord.of_row(with_value(SEGMENT, place, value))


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 0), (1, -1), (1, MOST_ROWS + 1), (2, -1), (2, MOST_ROWS + 1), (3, bytes(31)), (3, "0" * 32), (4, -1), (4, 21),
     (5, -1), (5, 3)],
)  # fmt: skip
def test_a_segment_beyond_the_bounds_is_refused(place: int, value: object) -> None:
    with pytest.raises(ValueError, match=" is "):
        SegmentRecord.of_row(with_value(SEGMENT, place, value))


def test_totals_are_counts() -> None:
    assert Totals.of_row((1, 20, 3, 4, 5, 0)) == Totals(names=1, features=20, removed=3, queued=4, verdicts=5)
    for row in ((1, -1, 3, 4, 5, 0), (1, 20.0, 3, 4, 5, 0), (1, 20, 3, 4, 5, -1)):
        with pytest.raises(ValueError, match="no number"):
            Totals.of_row(row)


def test_stamps_are_size_and_time() -> None:
    assert stamp_of_row(("a.jpg", 7, -3)) == ("a.jpg", (7, -3))
    assert stamp_of_row(("a.jpg", 0, -MOST)) == ("a.jpg", (0, -MOST))
    for row in ((7, 7, 3), ("a.jpg", -1, 3), ("a.jpg", 7, -MOST - 1), ("a.jpg", 7, 1.5)):
        with pytest.raises(ValueError, match=" is no "):
            stamp_of_row(row)
