from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featmatch import Index, check
from featmatch.adding import batches
from featmatch.adding.batches import AddOptions, AddReport, Target, add_files
from featmatch.adding.one_image import Failure, IndexedFile, count_pages, index_file
from featmatch.features.looks import LOOK
from featmatch.images.contents import content_of
from featmatch.images.decoding import DecodingOptions
from featmatch.images.metadata import Metadata
from featmatch.images.stored import NO_PICTURE
from featmatch.store.generation import change_catalog
from featmatch.store.layout import VOCABULARY
from featmatch.store.postings import quantised
from featmatch.store.segment_writer import IndexedImage
from featmatch.system.workers import Lost

ONE_JOB = AddOptions(jobs=1)


class Processes:
    """Stands in for ``in_order``: invents what is stored of a file, or gives the result that a test wants for it."""

    def __init__(self) -> None:
        self.wanted: dict[str, Any] = {}  # in place of what is stored, by the last part of the path
        self.pages: dict[str, Any] = {}  # in place of one page, likewise
        self.asked: list[tuple[Any, ...]] = []
        self.options: list[dict[str, Any]] = []

    def __call__(self, function: Any, tasks: list[tuple[Any, ...]], **options: Any) -> Iterator[Any]:
        self.options.append(options)
        for path, *others in tasks:
            self.asked.append((function, path, *others))
            name = os.path.basename(path)
            if function is count_pages:
                yield self.pages.get(name, 1)
            else:
                yield self.wanted[name] if name in self.wanted else self.indexed(path)

    @staticmethod
    def indexed(path: str, damaged: bool = False) -> IndexedFile:
        """Something that depends on the content of a file, with a feature for each byte of its name."""
        state, digest = os.stat(path.partition("#page=")[0]), content_of(path)
        count = len(os.path.basename(path))
        rows = np.arange(count, dtype=np.float32)
        postings = quantised(
            np.stack([rows, rows], 1), np.asarray(rows / 9, np.float32), rows + 2, rows.astype(np.uint64), 90
        )
        image = IndexedImage(
            90,
            60,
            rows.astype(np.int32),
            postings,
            np.uint64(int(digest[:8], 16)),
            np.zeros(1, LOOK)[0],
            NO_PICTURE,
        )
        return IndexedFile(digest, state.st_size, state.st_mtime_ns, image, Metadata(camera="A 1"), damaged)

    def paths(self, function: Any = index_file) -> list[str]:
        """The names of the files that a function was called with, since the last time."""
        asked = [os.path.basename(path) for called, path, *_ in self.asked if called is function]
        self.asked = [one for one in self.asked if one[0] is not function]
        return asked


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    made = Processes()
    monkeypatch.setattr(batches, "in_order", made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


def write(folder: Path, *names: str) -> list[str]:
    """Files that hold their own names."""
    for name in names:
        (folder / name).write_text(name)
    return [str(folder / name) for name in names]


def add(files: list[str], target: Target, options: AddOptions = ONE_JOB) -> AddReport:
    return add_files(files, target, options, progress=lambda done, total: None, committed=lambda: None)


def bare(names: list[str]) -> list[str]:
    return [os.path.basename(name) for name in names]


def known(small: Index) -> list[str]:
    small.refresh()
    return bare([record.name for record in small.images()])


def named(path: str, *numbers: int) -> list[str]:
    return [f"{path}#page={number}" for number in numbers]


# Batches


def test_each_batch_is_a_segment_and_is_committed(
    small: Index, target: Target, processes: Processes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_IMAGES", 2)
    files = write(folder, "a", "bb", "ccc", "dddd", "eeeee")
    told: list[object] = []

    def committed() -> None:
        small.refresh()
        told.append(known(small))

    report = add_files(
        files, target, AddOptions(1, text="hello"), progress=lambda *done: told.append(done), committed=committed
    )
    assert (report.added, report.skipped, report.failed, report.damaged) == (files, [], [], [])
    first, second = bare(files[:2]), bare(files[:4])
    assert told == [(1, 5), (2, 5), first, (3, 5), (4, 5), second, (5, 5), bare(files)]
    assert [(record.id, record.images, record.features) for record in small.snapshot.catalog.segments()] == [
        (1, 2, 3), (2, 2, 7), (3, 1, 5),
    ]  # fmt: skip
    for record, file in zip(small.images(), files, strict=True):
        size = os.path.getsize(file)
        assert (record.name, record.bytes, record.mtime_ns) == (file, size, os.stat(file).st_mtime_ns)
        assert (record.width, record.height, record.features, record.text) == (90, 60, size, "hello")
        assert (record.camera, record.sha256) == ("A 1", content_of(file))
    for segment in small.snapshot.segments.values():
        for row, image in enumerate(segment.ids.tolist()):
            record = next(one for one in small.images() if one.id == image)
            assert int(segment.phashes[row]) == int(record.sha256[:8], 16)
    assert check(small.folder)
    expected = small.folder / VOCABULARY, target.options, ONE_JOB.decoding, True
    assert [task[2:] for task in processes.asked] == [expected] * 5


def test_nothing_to_add_changes_nothing(small: Index, target: Target, processes: Processes) -> None:
    before = target.catalog.stat().st_ino
    commits: list[int] = []
    add_files([], target, ONE_JOB, progress=lambda *_: None, committed=lambda: commits.append(1))
    assert target.catalog.stat().st_ino == before
    assert commits == [1]  # what was there before may be due to be merged


def test_equal_files_are_one_image(small: Index, target: Target, processes: Processes, folder: Path) -> None:
    files = write(folder, "a", "b")
    Path(files[1]).write_text("a")
    assert add([*files, files[0]], target).added == files
    assert known(small) == ["a", "b"]
    assert len({record.id for record in small.images()}) == 1
    assert [record.images for record in small.snapshot.catalog.segments()] == [1]


def test_images_of_a_segment_are_in_the_order_of_their_numbers(
    small: Index, target: Target, processes: Processes, folder: Path
) -> None:
    old, new = write(folder, "old", "new")
    add([old], target)
    with change_catalog(target.catalog) as change:
        change.replace_segments([1], None)  # as a repair does: the image waits to be added again, and keeps its number
    add([new, old], target)
    small.refresh()
    (segment,) = small.snapshot.segments.values()
    assert {record.name: record.id for record in small.images()} == {old: 1, new: 2}
    assert segment.ids.tolist() == [1, 2]
    assert [int(phash) for phash in segment.phashes] == [int(content_of(file)[:8], 16) for file in (old, new)]


def test_failures_lost_processes_and_damaged_files_are_reported(
    small: Index, target: Target, processes: Processes, folder: Path
) -> None:
    a, b, c, d = write(folder, "a", "b", "c", "d")
    failure = Failure(b, "too_large", "too large")
    processes.wanted = {"b": failure, "c": Lost("its process ended"), "d": processes.indexed(d, damaged=True)}
    report = add([a, b, c, d], target)
    assert report.failed == [failure, Failure(c, "decode_failed", "its process ended")]
    assert (report.added, report.damaged) == ([a, d], [d])
    assert known(small) == ["a", "d"]


@pytest.mark.parametrize(
    ("jobs", "count", "used"), [(4, 11, 1), (4, 12, 2), (4, 35, 3), (4, 36, 4), (4, 99, 4), (2, 99, 2), (1, 99, 1)]
)
def test_a_process_has_enough_files_to_be_worth_its_start(
    target: Target, processes: Processes, folder: Path, jobs: int, count: int, used: int
) -> None:
    files = write(folder, *(f"{number:02d}" for number in range(count)))
    processes.wanted = {name: Failure(name, "too_little_detail", "") for name in bare(files)}
    decoding = DecodingOptions(timeout=7.0, max_pixels=1 << 30)
    add(files, target, AddOptions(jobs, decoding))
    assert processes.options == [{"jobs": used, "seconds": 7.0, "memory_bytes": decoding.memory_bytes}]


@pytest.mark.parametrize("ending", [KeyboardInterrupt, OSError])
def test_whatever_ends_a_run_what_was_done_is_committed(
    small: Index, target: Target, processes: Processes, folder: Path, ending: type[BaseException]
) -> None:
    files = write(folder, "a", "b", "c")

    def progress(done: int, total: int) -> None:
        if done == 2:
            raise ending

    with pytest.raises(ending):
        add_files(files, target, ONE_JOB, progress=progress, committed=lambda: pytest.fail("it is not done"))
    assert known(small) == ["a", "b"]
    assert add(files, target).skipped == files[:2]


# What is known


def test_unchanged_files_are_not_read(
    target: Target, processes: Processes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write(folder, "a", "b")
    add(files, target)
    assert processes.paths() == ["a", "b"]
    monkeypatch.setattr(batches, "content_of", None)
    report = add(files, target)
    assert (report.added, report.skipped, processes.paths()) == ([], files, [])


def test_a_file_that_was_only_touched_is_skipped_and_its_new_time_kept(
    small: Index, target: Target, processes: Processes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write(folder, "a", "b")
    add(files, target, AddOptions(1, text="first"))
    os.utime(files[0], ns=(5, 5))
    report = add(files, target, AddOptions(1, text="second"))
    assert (report.added, sorted(report.skipped), processes.paths()) == ([], files, ["a", "b"])
    monkeypatch.setattr(batches, "content_of", None)
    assert add(files, target).skipped == files
    small.refresh()
    assert [(record.mtime_ns, record.text) for record in small.images()] == [
        (5, "first"), (os.stat(files[1]).st_mtime_ns, "first"),
    ]  # fmt: skip


def test_a_copy_of_what_is_known_is_named_and_not_indexed(
    small: Index, target: Target, processes: Processes, folder: Path
) -> None:
    (a,) = write(folder, "a")
    add([a], target, AddOptions(1, text="first"))
    (folder / "copy").write_text("a")
    copy, other = str(folder / "copy"), write(folder, "b")[0]
    processes.paths()
    report = add([copy, other], target, AddOptions(1, text="second"))
    assert (report.added, report.skipped, processes.paths()) == ([copy, other], [], ["b"])
    small.refresh()
    assert {os.path.basename(record.name): record.text for record in small.images()} == {
        "a": "first", "copy": "second", "b": "second",
    }  # fmt: skip
    assert len({record.id for record in small.images()}) == 2


def test_only_files_of_a_size_that_is_known_are_read_for_comparison(
    target: Target, processes: Processes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, longer = write(folder, "a", "b", "longer")
    add([a], target)
    read: list[str] = []

    def content(path: str) -> str:
        read.append(path)
        return content_of(path)

    monkeypatch.setattr(batches, "content_of", content)
    assert add([b, longer], target).added == [b, longer]
    assert read == [b]


def test_a_changed_file_takes_its_name_along(small: Index, target: Target, processes: Processes, folder: Path) -> None:
    a, b = write(folder, "a", "b")
    add([a, b], target)
    Path(a).write_text("other")
    assert add([a, b], target).added == [a]
    assert sorted(known(small)) == ["a", "b"]
    assert {record.name: record.sha256 for record in small.images()} == {a: content_of(a), b: content_of(b)}
    assert small.info().removed == 1


def test_a_file_that_cannot_be_read_is_left_to_who_decodes_it(
    target: Target, processes: Processes, folder: Path
) -> None:
    failure = Failure("gone", "not_found", "no such file")
    processes.wanted = {"gone": failure}
    assert add([str(folder / "gone")], target).failed == [failure]


def test_a_file_given_twice_is_added_once(target: Target, processes: Processes, folder: Path) -> None:
    (a,) = write(folder, "a")
    assert add([a, a], target).added == [a]
    assert processes.paths() == ["a"]


# Pages, which are counted first


PAGES = AddOptions(jobs=1, pages=True)


def scan(folder: Path, name: str = "scan.tif", content: str = "one") -> str:
    (folder / name).write_text(f"II*\0{content}")
    return str(folder / name)


def test_only_files_that_may_have_pages_are_counted_and_only_if_pages_are_wanted(
    small: Index, target: Target, processes: Processes, folder: Path
) -> None:
    files = [*write(folder, "a", "b"), scan(folder)]
    assert add(files, target).added == files
    assert processes.paths(count_pages) == []
    single = scan(folder, "single.tif", "of one page")
    assert add([*files[:2], single], target, PAGES).added == [single]
    assert processes.paths(count_pages) == ["single.tif"]
    assert processes.paths() == ["a", "b", "scan.tif", "single.tif"]


def test_a_file_by_pages_takes_the_place_of_its_first_page_and_stays_so(
    small: Index, target: Target, processes: Processes, folder: Path
) -> None:
    (a,), file = write(folder, "a"), scan(folder)
    add([file, a], target)
    processes.pages = {"scan.tif": 3}
    assert add([file, a, file], target, PAGES).added == named(file, 1, 2, 3)
    assert sorted(known(small)) == ["a", *bare(named(file, 1, 2, 3))]
    processes.paths(count_pages)
    assert add([a, file], target).skipped == [a, *named(file, 1, 2, 3)]
    assert processes.paths(count_pages) == ["scan.tif"]
    scan(folder, content="two pages now")
    processes.pages = {"scan.tif": 2}
    report = add([a, file], target)
    assert (report.added, report.skipped) == (named(file, 1, 2), [a])
    assert sorted(known(small)) == ["a", *bare(named(file, 1, 2))]
    scan(folder, content="a single page")
    processes.pages = {}
    assert add([file], target).added == [file]
    assert sorted(known(small)) == ["a", "scan.tif"]


def test_pages_of_files_that_are_not_given_are_left_alone(
    small: Index, target: Target, processes: Processes, folder: Path
) -> None:
    one, two = scan(folder, "one.tif", "1"), scan(folder, "two.tif", "2")
    processes.pages = {"one.tif": 2, "two.tif": 2}
    add([one, two], target, PAGES)
    processes.paths(count_pages)
    processes.pages = {"one.tif": 1}
    report = add([one], target)
    assert processes.paths(count_pages) == ["one.tif"]
    assert report.failed == []
    assert sorted(known(small)) == bare([one, *named(two, 1, 2)])


def test_two_files_lose_pages_at_once(small: Index, target: Target, processes: Processes, folder: Path) -> None:
    one, two = scan(folder, "one.tif", "1"), scan(folder, "two.tif", "2")
    processes.pages = {"one.tif": 3, "two.tif": 3}
    add([one, two], target, PAGES)
    processes.pages = {"one.tif": 2, "two.tif": 2}
    add([one, two], target)
    assert sorted(known(small)) == bare([*named(one, 1, 2), *named(two, 1, 2)])


def test_pages_that_cannot_be_counted_leave_all_as_it_was(
    small: Index, target: Target, processes: Processes, folder: Path
) -> None:
    (a,), file = write(folder, "a"), scan(folder)
    processes.pages = {"scan.tif": 2}
    add([file], target, PAGES)
    failure = Failure(file, "decode_failed", "damaged")
    processes.pages = {"scan.tif": failure}
    report = add([file, a], target)
    assert (report.added, report.failed) == ([a], [failure])
    assert sorted(known(small)) == ["a", *bare(named(file, 1, 2))]


def test_each_file_whose_pages_cannot_be_counted_is_reported(
    small: Index, target: Target, processes: Processes, folder: Path
) -> None:
    files = [scan(folder, f"{name}.tif", name) for name in ("one", "two", "three")]
    failures = [Failure(file, "decode_failed", "damaged") for file in files[:2]]
    processes.pages = {"one.tif": failures[0], "two.tif": failures[1], "three.tif": 2}
    report = add(files, target, PAGES)
    assert (report.failed, report.added) == (failures, named(files[2], 1, 2))


def test_a_file_whose_own_name_is_that_of_a_page_is_a_file(
    small: Index, target: Target, processes: Processes, folder: Path
) -> None:
    file, odd = scan(folder), scan(folder, "scan.tif#page=1", "a file of its own")
    assert add([odd], target, PAGES).added == [odd]
    processes.paths(count_pages)
    add([file], target)
    assert processes.paths(count_pages) == []
    assert "scan.tif#page=1" in known(small)


# Pictures


def test_the_index_remembers_whether_pictures_are_kept(
    small: Index, target: Target, processes: Processes, folder: Path
) -> None:
    for number, (wanted, kept) in enumerate(
        [(None, True), (True, True), (False, False), (None, False), (False, False), (True, True), (None, True)]
    ):
        before = (small.folder / "catalog.sqlite").stat().st_ino
        add(write(folder, f"{number}.jpg"), target, AddOptions(jobs=1, pictures=wanted))
        assert [pictures for *_, pictures in processes.asked] == [kept]
        processes.asked.clear()
        assert (small.folder / "catalog.sqlite").stat().st_ino != before
        small.refresh()
        assert small.snapshot.catalog.meta.get("pictures", True) is kept


def test_nothing_is_written_where_the_choice_is_as_before(small: Index, target: Target, processes: Processes) -> None:
    add([], target, AddOptions(jobs=1, pictures=False))
    before = (small.folder / "catalog.sqlite").stat()
    for wanted in (None, False):
        add([], target, AddOptions(jobs=1, pictures=wanted))
    after = (small.folder / "catalog.sqlite").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_description_that_is_no_choice_is_none(target: Target, processes: Processes, folder: Path) -> None:
    with change_catalog(target.catalog) as change:
        change.describe("pictures", ["no"])
    add(write(folder, "a.jpg"), target)
    assert [pictures for *_, pictures in processes.asked] == [True]
