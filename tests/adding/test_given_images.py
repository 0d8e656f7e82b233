"""Images from memory, under names of the caller's choice."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch import Index, UsageError, check
from featmatch.adding import batches
from featmatch.adding.given_images import GivenImage, checked_name
from featmatch.store.records import NO_FILE_NS
from tools.small_index import draw_pictures

pytestmark = pytest.mark.usefixtures("decoded_here")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw_pictures(tmp_path_factory.mktemp("given"), 5)


def pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path))


def names(index: Index) -> list[str]:
    return [record.name for record in index.images()]


def test_every_kind_of_image_is_added_under_the_name_it_was_given(small: Index, pictures: list[Path]) -> None:
    kinds: list[Any] = [
        pictures[0].read_bytes(), io.BytesIO(pictures[1].read_bytes()), pixels(pictures[2]), Image.open(pictures[3]),
        pictures[4],
    ]  # fmt: skip
    told: list[tuple[int, int]] = []
    given = [(f"listing {number}", kind) for number, kind in enumerate(kinds)]
    report = small.add_images(given, text="of today", progress=lambda *done: told.append(done))
    assert (report.added, report.skipped, report.failed) == ([name for name, _ in given], [], [])
    assert [done for done, _ in told] == [1, 2, 3, 4, 5]
    assert names(small) == report.added
    assert {(record.mtime_ns, record.text) for record in small.images()} == {(NO_FILE_NS, "of today")}
    assert [record.format for record in small.images()] == ["PNG", "PNG", None, None, "PNG"]
    for (name, _), picture in zip(given, pictures, strict=True):
        assert small.query(pixels(picture))[0].name == name
    assert check(small.folder)


def test_bytes_are_the_same_content_as_their_file(small: Index, pictures: list[Path]) -> None:
    small.add([pictures[0]], jobs=1)
    assert small.add_images([("again", pictures[0].read_bytes())]).added == ["again"]
    one, other = small.images()
    assert (one.id, one.sha256) == (other.id, other.sha256)
    assert [record.images for record in small.snapshot.catalog.segments()] == [1]


def test_a_reduced_copy_is_an_image_of_its_own_in_px_of_the_whole(small: Index, pictures: list[Path]) -> None:
    content = pictures[0].read_bytes()
    height, width = pixels(pictures[0]).shape[:2]
    whole = GivenImage("whole", content, size=(3 * width, 3 * height))
    wrong = GivenImage("wrong", content, size=(width, 3 * height))
    report = small.add_images([("itself", content), whole, wrong], jobs=1)
    assert (report.added, [one.name for one in report.failed]) == (["itself", "whole"], ["wrong"])
    itself, reduced = small.images()
    assert ((itself.width, itself.height), (reduced.width, reduced.height)) == ((width, height), whole.size)
    assert {match.name: round(match.relation.scale, 2) for match in small.query(content)} == {
        "itself": 1,
        "whole": 0.33,
    }


def test_an_array_is_the_same_content_as_a_picture_of_its_pixels(small: Index, pictures: list[Path]) -> None:
    array = pixels(pictures[0])
    small.add_images([("array", array), ("picture", Image.fromarray(array)), ("other", array[::-1].copy())])
    assert [record.id for record in small.images()] == [1, 1, 2]


def test_what_is_there_under_its_name_is_skipped(small: Index, pictures: list[Path]) -> None:
    one, other = (path.read_bytes() for path in pictures[:2])
    small.add_images([("a", one)])
    before = small.snapshot.catalog.stamp
    assert small.add_images([("a", one)]).skipped == ["a"]
    assert small.snapshot.catalog.stamp == before
    assert small.add_images([("a", other)], on_conflict="skip").skipped == ["a"]
    assert small.query(one)[0].name == "a"
    assert small.add_images([("a", other)]).added == ["a"]
    assert (small.query(one), small.query(other)[0].name) == ([], "a")


def test_a_name_that_is_given_twice_is_a_conflict_too(small: Index, pictures: list[Path]) -> None:
    one, other = (path.read_bytes() for path in pictures[:2])
    report = small.add_images([("a", one), ("a", other), ("a", one)], on_conflict="skip")
    assert (report.added, report.skipped) == (["a", "a"], ["a"])
    assert small.query(one)[0].name == "a"


def test_what_cannot_be_read_costs_itself_only(small: Index, pictures: list[Path], tmp_path: Path) -> None:
    broken = Image.open(io.BytesIO(pictures[0].read_bytes()[:-60]))
    given: list[tuple[str, Any]] = [
        ("text", b"no image"), ("blank", np.zeros((90, 90), np.uint8)), ("gone", tmp_path / "gone.png"),
        ("broken", broken), ("good", pictures[1]),
    ]  # fmt: skip
    report = small.add_images(given)
    assert report.added == ["good"]
    assert [(failure.name, failure.status) for failure in report.failed] == [
        ("text", "decode_failed"), ("blank", "too_little_detail"), ("gone", "not_found"), ("broken", "decode_failed"),
    ]  # fmt: skip
    cut = small.add_images([("cut", pictures[2].read_bytes()[:-2000])])
    assert (cut.added, cut.damaged) == (["cut"], ["cut"])


def test_the_order_of_names_is_that_of_the_images_whatever_is_known(small: Index, pictures: list[Path]) -> None:
    contents = [path.read_bytes() for path in pictures]
    small.add_images([("known", contents[1])])
    small.add_images([("a", contents[0]), ("b", contents[1]), ("c", contents[2]), ("d", contents[1])])
    assert names(small) == ["known", "a", "b", "c", "d"]


def test_many_images_are_few_commits(small: Index, pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_IMAGES", 2)
    small.add_images((str(number), path.read_bytes()) for number, path in enumerate(pictures))
    assert [record.images for record in small.snapshot.catalog.segments()] == [2, 2, 1]


@pytest.mark.parametrize("wrong", [("b",), ("b", 3), (3, b""), ("", b""), "ab", None, ("b", io.StringIO("text"))])
def test_what_came_before_a_mistake_is_added(small: Index, pictures: list[Path], wrong: Any) -> None:
    with pytest.raises(UsageError):
        small.add_images([("a", pictures[0].read_bytes()), wrong, ("c", pictures[1].read_bytes())])
    assert names(small) == ["a"]


def test_what_came_before_an_error_of_the_caller_is_added(small: Index, pictures: list[Path]) -> None:
    def given() -> Iterator[tuple[str, bytes]]:
        yield "a", pictures[0].read_bytes()
        raise ConnectionError("the source is gone")

    with pytest.raises(ConnectionError, match="gone"):
        small.add_images(given())
    assert names(small) == ["a"]


def test_images_from_memory_are_not_pruned_and_stay_so_when_repaired(
    small: Index, pictures: list[Path], tmp_path: Path
) -> None:
    name = str(tmp_path / "photos" / "a.png")
    (tmp_path / "photos").mkdir()
    small.add_images([(name, pictures[0].read_bytes())])
    assert small.add([tmp_path / "photos"], jobs=1, prune=True).vanished == []
    check(small.folder, repair=True)
    small.refresh()
    assert [record.mtime_ns for record in small.images()] == [NO_FILE_NS]


def test_a_file_of_that_name_takes_its_place(small: Index, pictures: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    small.add_images([(str(path), pictures[0].read_bytes())])
    path.write_bytes(pictures[0].read_bytes())
    assert small.add([path], jobs=1).skipped == [str(path)]
    assert [record.mtime_ns for record in small.images()] == [os.stat(path).st_mtime_ns]


@pytest.mark.parametrize("wrong", [None, 3, b"a", "", "a\0b", "a" * 4097])
def test_what_is_no_name_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match="name of an image"):
        checked_name(wrong)
    assert checked_name("a" * 4096)
