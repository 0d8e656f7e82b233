from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from featmatch import StoreError, check
from featmatch.store import parts
from featmatch.store.browsing import count_images, list_images
from featmatch.store.catalog import Catalog
from featmatch.store.consistency import catalog_problems
from featmatch.store.generation import Change, change_catalog, create_catalog
from featmatch.store.layout import CATALOG, part_file
from featmatch.store.open_catalog import FORMAT_VERSION, OPENCV_SIFT_VERSION, PARTS_VERSION
from featmatch.store.parts import Part, to_merge
from featmatch.store.writing import clear_leftovers
from featmatch.system.files import sha256_of
from tests.store.catalogues import add, add_to, names, remove, sha

MANY = {f"{number}.jpg": number for number in range(1, 9)}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three names are many."""
    monkeypatch.setattr(parts, "RECENT_NAMES", 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalogue whose images are in a part, but for one."""
    create_catalog(tmp_path / CATALOG, {"features": {}, "vocabulary": "abc"})
    add(tmp_path / CATALOG, MANY)
    add(tmp_path / CATALOG, {"9.jpg": 9})
    return tmp_path / CATALOG


def files(path: Path) -> list[str]:
    return sorted(file.name for file in (path.parent / "parts").iterdir())


def test_a_small_catalogue_is_of_the_former_format_and_has_no_parts(tmp_path: Path) -> None:
    path = tmp_path / CATALOG
    create_catalog(path, {"features": {}, "vocabulary": "abc"})
    add(path, {"a.jpg": 1, "b.jpg": 2, "c.jpg": 3})
    assert (Catalog(path).meta["version"], Catalog(path).part_files) == (FORMAT_VERSION, [])
    assert not (tmp_path / "parts").exists()
    add(path, {"d.jpg": 4})
    assert (Catalog(path).meta["version"], len(Catalog(path).part_files)) == (PARTS_VERSION, 1)
    assert names(path) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_a_catalogue_of_format_2_stays_one(tmp_path: Path) -> None:
    path = tmp_path / CATALOG
    create_catalog(path, {"features": {}, "vocabulary": "abc", "version": OPENCV_SIFT_VERSION})
    add(path, MANY)
    assert (Catalog(path).meta["version"], Catalog(path).part_files) == (OPENCV_SIFT_VERSION, [])


class Twins:
    """The same changes of two catalogues, of which one has parts; and what both answer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = [folder / "with" / CATALOG, folder / "without" / CATALOG]
        self._patch = monkeypatch
        for path in self.paths:
            path.parent.mkdir()
            create_catalog(path, {"features": {}, "vocabulary": "abc"})

    def change(self, what: Callable[[Change], Any]) -> None:
        found = []
        for path, recent in zip(self.paths, (3, 1000), strict=True):
            self._patch.setattr(parts, "RECENT_NAMES", recent)
            with change_catalog(path) as change:
                found.append(what(change))
        assert found[0] == found[1]

    def compare(self, *, thoroughly: bool = True) -> Catalog:
        with_parts, without = answers = [Catalog(path) for path in self.paths]
        assert not thoroughly or list(catalog_problems(with_parts)) == []
        one, other = map(_answers, answers)
        assert one == other
        assert not without.part_files
        return with_parts


def _answers(catalog: Catalog) -> dict[str, Any]:
    """Whatever may be asked of a catalogue."""
    every, known = range(1, 60), list(catalog.names())
    contents = [sha(content) for content in range(30)]
    return {
        "images": list(catalog.images()), "found": list(catalog.images("1")), "names": known,
        "files": list(catalog.names(only_files=True)), "queued": catalog.queued(), "removed": catalog.removed(),
        "segments": catalog.segments(), "records": catalog.records_of([*every]), "stamps": catalog.stamps_of(known),
        "sizes": catalog.sizes_among(range(200)), "beginning": catalog.names_beginning(["1", "n"]),
        "fitting": catalog.fitting("jpg"), "names of": catalog.names_of([*every]),
        "names of, fitting": catalog.names_of([*every], "2"), "files of": [catalog.files_of(image) for image in every],
        "numbers": list(catalog.numbers()), "after": list(catalog.numbers(7)), "jpg 1": list(catalog.numbers(3, "1")),
        "count": [catalog.count(), catalog.count(5), catalog.count(0, "PNG")], "newest": catalog.newest(),
        "order": catalog.in_order_of_contents(), "known": catalog.known_among([*known, "none"]),
        "with": [catalog.image_with(content) for content in contents], "contents": catalog.contents_of(every),
        "named": catalog.named_with(contents), "content": [catalog.content_named(name) for name in [*known, "none"]],
        "verdicts": catalog.verdicts(), "totals": catalog.totals(), "pages": list_images(catalog, after=4, limit=5),
        "pages, fitting": list_images(catalog, limit=5, match="2"), "listed": count_images(catalog, match="1"),
    }  # fmt: skip


def _a_change(chance: random.Random) -> Callable[[Change], Any]:
    """Some change of a catalogue with up to 30 contents under up to 40 names."""
    kind = chance.choice(["add", "add", "add", "add", "remove", "lose", "merge", "judge"])
    some = {
        f"{chance.choice('n1')}{chance.randrange(20)}.jpg": chance.randrange(30) for _ in range(chance.randrange(6))
    }

    text = chance.choice([None, "a text of 2"])

    def segments(change: Change) -> list[int]:
        return [number for (number,) in change._connection.rows("SELECT id FROM segments ORDER BY id")]

    def merging(change: Change) -> None:
        old, new = segments(change)[:3], change.next_segment()
        rows = change._connection.rows(
            f"SELECT sum(images), sum(features) FROM segments WHERE id IN ({str(old)[1:-1]})"
        )
        images, features = rows[0]
        change.add_segment(new, images or 0, features or 0, bytes(32))
        change.replace_segments(old, new)

    return {
        "add": lambda change: add_to(change, some, text),
        "remove": lambda change: change.remove(some),
        "lose": lambda change: change.replace_segments(segments(change)[1:2], None),
        "merge": merging,
        "judge": lambda change: change.judge(sha(len(some)), sha(20), True),
    }[kind]


@pytest.mark.parametrize("seed", [4, 5])
def test_a_catalogue_with_parts_answers_as_one_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance, twins = random.Random(seed), Twins(tmp_path, monkeypatch)
    most = 0
    for step in range(30):
        twins.change(_a_change(chance))
        most = max(most, len(twins.compare(thoroughly=step % 6 == 0).part_files))
    assert most > 1
    wholes: list[Callable[[Change], Any]] = [Change.shrink, Change.distrust]
    for whole in wholes:
        twins.change(whole)
        assert len(twins.compare().part_files) <= 1


def test_a_commit_writes_what_is_new_and_leaves_the_parts(path: Path) -> None:
    written = part_file(path.parent, 1)
    before = written.stat()
    add(path, {"10.jpg": 10, "5.jpg": 10})
    with change_catalog(path) as change:
        change.judge(sha(1), sha(2), True)
    assert files(path) == ["000001.sqlite"]
    assert (written.stat().st_ino, written.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert Catalog(path).part_files[0].hidden == 1
    assert names(path) == ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg", "6.jpg", "7.jpg", "8.jpg", "9.jpg", "10.jpg"]


def test_readers_keep_the_parts_that_they_opened(path: Path) -> None:
    before = Catalog(path)
    add(path, {f"{number}.jpg": number for number in range(10, 40)})
    assert files(path) == ["000002.sqlite"]
    assert [image.name for image in before.images()] == [*MANY, "9.jpg"]
    assert len(names(path)) == 39


def _part(number: int, count: int, hidden: int = 0) -> Part:
    return Part(number, bytes(32), 1, count, count, count, count, hidden, hidden, hidden)


def test_parts_are_few_and_each_is_twice_as_large_as_the_next() -> None:
    kept: list[Part] = []
    copied = 0
    for number in range(1, 2001):
        merged = to_merge(kept, 100)
        kept = [part for part in kept if part not in merged]
        kept.append(_part(number, 100 + sum(part.names for part in merged)))
        copied += kept[-1].names
        assert len(kept) <= parts.MOST_PARTS
    assert sum(part.names for part in kept) == 200_000
    assert copied < 12 * 200_000
    assert to_merge([_part(1, 1000, 126), _part(2, 400)], 10) == [_part(1, 1000, 126)]


def test_what_is_hidden_of_a_part_is_dropped_when_it_is_much(path: Path) -> None:
    remove(path, "1.jpg")
    assert (files(path), Catalog(path).part_files[0].hidden) == (["000001.sqlite"], 1)
    remove(path, "2.jpg")
    assert (files(path), Catalog(path).part_files[0].hidden) == (["000002.sqlite"], 0)
    assert names(path) == [f"{number}.jpg" for number in range(3, 10)]


def test_compacting_leaves_one_part_or_none(path: Path) -> None:
    add(path, {f"{number}.jpg": number for number in range(10, 14)})
    before = Catalog(path).records_of([*range(20)])
    with change_catalog(path) as change:
        change.shrink()
    assert len(files(path)) == 1
    assert Catalog(path).rows("SELECT count(*) FROM names") == [(0,)]
    assert Catalog(path).records_of([*range(20)]) == before
    remove(path, *(f"{number}.jpg" for number in range(1, 11)))
    with change_catalog(path) as change:
        change.shrink()
    assert (files(path), names(path)) == ([], ["11.jpg", "12.jpg", "13.jpg"])
    assert [image.id for image in Catalog(path).images("12")] == [12]


@pytest.mark.parametrize("number", range(12))
def test_a_commit_that_fails_anywhere_is_as_none(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """At each step by which files get to the disk: nothing is lost, and the next writer clears up."""
    calls = iter(range(1000))
    done = [False]

    def failing(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            if next(calls) == number:
                raise OSError(28, "no space left on device")
            result = call(*arguments, **options)
            done[0] = done[0] or (call is replace and Path(arguments[1]) == path)
            return result

        return counted

    replace = os.replace
    with monkeypatch.context() as patch:
        for name in ("replace", "fsync", "unlink"):
            patch.setattr(os, name, failing(getattr(os, name)))
        with contextlib.suppress(OSError):
            add(path, {f"{number}.jpg": number for number in range(10, 40)})
    assert list(catalog_problems(Catalog(path))) == []
    assert len(names(path)) == (39 if done[0] else 9)
    clear_leftovers(path.parent)
    assert files(path) == [f"{part.id:06d}.sqlite" for part in Catalog(path).part_files]
    add(path, {f"{number}.jpg": number for number in range(10, 40)})
    assert len(names(path)) == 39


def test_what_sqlite_would_take_for_a_journal_of_a_part_goes(path: Path) -> None:
    for tail in ("", "-journal", "-wal", "-shm"):
        (path.parent / "parts" / f"000002.sqlite.partial{tail}").write_bytes(b"a journal")
    add(path, {f"{number}.jpg": number for number in range(10, 40)})
    assert (files(path), len(names(path))) == (["000002.sqlite"], 39)


def _emptied(part: Path) -> None:
    part.write_bytes(b"")


def _with_a_view(part: Path) -> None:
    size = part.stat().st_size
    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
        connection.execute("DROP INDEX images_by_bytes")
        connection.execute("CREATE VIEW images_by_bytes AS SELECT 1")
    os.truncate(part, size)


def _linked(part: Path) -> None:
    shutil.copy(part, part.parent.parent.parent / "elsewhere")
    part.unlink()
    part.symlink_to(part.parent.parent.parent / "elsewhere")


@pytest.mark.parametrize("spoil", [Path.unlink, _emptied, _with_a_view, _linked])
def test_a_part_that_is_not_as_it_was_written_is_refused(path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(part_file(path.parent, 1))
    with pytest.raises(StoreError, match="000001"):
        Catalog(path)
    with pytest.raises(StoreError, match="000001"):
        add(path, {"10.jpg": 10})


@pytest.fixture
def flipped(path: Path) -> Iterator[Path]:
    """A catalogue of which a byte of a name in a part is another one."""
    part = part_file(path.parent, 1)
    part.write_bytes(part.read_bytes().replace(b"5.jpg", b"5.jqg"))
    yield path


def test_other_bytes_of_a_part_are_found_and_never_copied(flipped: Path) -> None:
    assert any("000001.sqlite is not as it was written" in problem for problem in catalog_problems(Catalog(flipped)))
    with pytest.raises(StoreError, match="not as it was written"):
        add(flipped, {f"{number}.jpg": number for number in range(10, 40)})
    assert files(flipped) == ["000001.sqlite"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE parts SET images = images + 1",
        "UPDATE parts SET sha256 = 'x'",
        "UPDATE parts SET names = 'many'",
        "DELETE FROM placed",
        "INSERT INTO hidden VALUES (1, 77, 1, 10)",
        "INSERT INTO hidden VALUES (1, 3, 2, 10)",
        "INSERT INTO images SELECT * FROM part1.images WHERE id = 4",
        "INSERT INTO names VALUES (99, '4.jpg', 9, 1, NULL)",
    ],
)
def test_what_does_not_fit_together_is_found(path: Path, monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    with contextlib.suppress(StoreError), change_catalog(path) as change:
        change._connection.execute(statement)
        monkeypatch.setattr(change, "settle", lambda: None)
    with contextlib.suppress(StoreError):
        assert list(catalog_problems(Catalog(path)))


def test_a_damaged_part_is_repaired_by_check(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "index"
    shutil.copytree(built, index)
    monkeypatch.setattr(parts, "RECENT_NAMES", 1)
    with change_catalog(index / CATALOG) as change:
        change.judge(sha(1), sha(2), True)
    assert check(index)
    part = part_file(index, 1)
    content = bytearray(part.read_bytes())
    content[-1] ^= 1
    part.write_bytes(content)
    found = check(index)
    assert [problem for problem in found.problems if "000001.sqlite is not as it was written" in problem]
    assert check(index, repair=True)
    assert names(index / CATALOG) == names(built / CATALOG)
    assert sha256_of(part_file(index, 2)) == Catalog(index / CATALOG).part_files[0].sha256.hex()
