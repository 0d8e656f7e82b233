"""The thread that writes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from featmatch import Index
from featmatch.adding.given_images import GivenImage
from featmatch.images.decoding import USUAL
from featmatch.service.problems import Problem
from featmatch.service.uploads import Uploads
from featmatch.service.writer import Writer


@pytest.fixture
def writer(index: Index, tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(index, USUAL, Uploads(tmp_path / "uploads"))
    yield writer
    writer.stop()
    writer.join(60)


@pytest.fixture
def held(writer: Writer) -> Iterator[threading.Event]:
    """The writer is at something else until this is set."""
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go_on.wait(60)

    writer.submit(wait)
    assert begun.wait(60)
    yield go_on
    go_on.set()


def image(path: Path, name: str) -> GivenImage:
    return GivenImage(name, path.read_bytes(), on_conflict="skip")


def test_uploads_that_came_together_are_one_commit(
    writer: Writer, held: threading.Event, index: Index, drawn: list[Path]
) -> None:
    before = index.info().segments
    bad = GivenImage("bad", b"no picture")
    waiting = [
        writer.upload([image(drawn[5], "a"), bad], refuse_taken=False),
        writer.upload([image(drawn[6], "b")], refuse_taken=False),
        writer.upload([image(drawn[6], "b")], refuse_taken=True),
        writer.upload([image(drawn[7], "a")], refuse_taken=True),  # which came with the first
    ]
    done = writer.submit(lambda: len(index))
    held.set()
    reports = [future.result(60) for future in waiting[:3]]
    assert [report.added for report in reports] == [["a"], ["b"], ["b"]]
    assert [failure.name for failure in reports[0].failed] == ["bad"]
    with pytest.raises(Problem, match="name_taken"):
        waiting[3].result(60)
    assert done.result(60) == 7
    assert index.info().segments == before + 1


def test_order_is_kept(writer: Writer, held: threading.Event, index: Index, drawn: list[Path]) -> None:
    seen: list[int] = []
    first = writer.upload([image(drawn[5], "a")], refuse_taken=False)
    writer.submit(lambda: seen.append(len(index)))
    second = writer.upload([image(drawn[6], "b")], refuse_taken=False)
    last = writer.submit(lambda: seen.append(len(index)))
    held.set()
    assert (first.result(60).added, second.result(60).added) == (["a"], ["b"])
    last.result(60)
    assert seen == [6, 7]


def test_what_goes_wrong_is_the_askers(writer: Writer) -> None:
    with pytest.raises(ZeroDivisionError):
        writer.submit(lambda: 1 // 0).result(60)
    assert writer.submit(lambda: "again").result(60) == "again"


def test_a_writer_that_stops_answers_what_waits(index: Index, drawn: list[Path]) -> None:
    writer = Writer(index, USUAL)
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> str:
        begun.set()
        go_on.wait(60)
        return "done"

    under_way = writer.submit(wait)
    assert begun.wait(60)
    waits = writer.upload([image(drawn[5], "a")], refuse_taken=False)
    writer.stop()
    with pytest.raises(Problem, match="stopping"):
        waits.result(60)
    with pytest.raises(Problem, match="stopping"):
        writer.submit(wait)
    go_on.set()
    assert under_way.result(60) == "done"
    writer.join(60)


def test_uploads_that_come_during_a_commit_share_the_next(
    writer: Writer, index: Index, drawn: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    keep = Uploads.keep

    def slow(uploads: Uploads, content: bytes) -> object:
        begun.set()
        go_on.wait(60)
        return keep(uploads, content)

    monkeypatch.setattr(Uploads, "keep", slow)
    before = index.info().segments
    first = writer.upload([image(drawn[5], "a")], refuse_taken=False)
    assert begun.wait(60)  # alone: nothing waits for more to come
    rest = [writer.upload([image(drawn[6 + number], str(number))], refuse_taken=False) for number in range(2)]
    go_on.set()
    assert [future.result(60).added for future in (first, *rest)] == [["a"], ["0"], ["1"]]
    assert index.info().segments == before + 2


@pytest.mark.parametrize(("most", "commits"), [(1, ["ab", "c", "d"]), (3, ["abc", "d"])])
def test_a_commit_has_so_many_images_at_most(
    writer: Writer, held: threading.Event, index: Index, drawn: list[Path], monkeypatch: pytest.MonkeyPatch,
    most: int, commits: list[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("featmatch.service.writer.MOST_GATHERED", most)
    made: list[str] = []
    added = Writer._added

    def counted(writer: Writer, uploads: list[Any]) -> object:
        made.append("".join(image.name for upload in uploads for image in upload.images))
        return added(writer, uploads)

    monkeypatch.setattr(Writer, "_added", counted)
    many = [image(drawn[5], "a"), image(drawn[6], "b")]  # one request is never divided
    waiting = [writer.upload(many, refuse_taken=False)]
    waiting += [writer.upload([image(drawn[7], name)], refuse_taken=False) for name in "cd"]
    held.set()
    assert [name for future in waiting for name in future.result(60).added] == list("abcd")
    assert made == commits


def test_files_are_kept_for_what_is_in_the_index_only(
    writer: Writer, index: Index, drawn: list[Path], tmp_path: Path
) -> None:
    bad = GivenImage("bad", b"no picture")
    writer.upload([image(drawn[5], "a"), bad], refuse_taken=False).result(60)
    kept = [path.read_bytes() for path in (tmp_path / "uploads").rglob("*") if path.is_file()]
    assert kept == [drawn[5].read_bytes()]
