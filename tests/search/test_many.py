"""Many pictures at once: the answers, their order and their errors are those of one picture after the other."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featmatch import Index, Matches, UsageError
from featmatch.errors import StoreError
from featmatch.images.decoding import DecodingOptions
from featmatch.images.pixels import ImageSource
from featmatch.search import many
from featmatch.search.many import SearchOptions, look_up, look_up_each
from featmatch.store.reader import Reader
from featmatch.system.workers import Lost

_OPTIONS = SearchOptions()


def said(answers: Iterable[Matches]) -> list[Any]:
    """All that is said, but how long it took."""
    return [(one.to_dict(), one.message, one.not_at_hand) for one in answers]


def photos(folder: Path) -> list[str]:
    return [str(folder / "photos" / f"{number:03d}.png") for number in range(6)]


@pytest.fixture
def mixed(folder: Path) -> list[ImageSource]:
    """Images of every kind: more than a few, some twice, and some that cannot be read."""
    files = photos(folder)
    (folder / "empty.jpg").touch()
    (folder / "two\nlines.png").write_bytes(Path(files[5]).read_bytes())
    (folder / "plain.png").write_bytes(b"")
    Image.new("L", (90, 90), 7).save(folder / "plain.png")
    picture = Image.open(files[1])
    return [
        files[0], folder / "empty.jpg", Path(files[4]), folder / "nothing.jpg", Path(files[2]).read_bytes(), b"nothing",
        np.asarray(picture), picture, files[0], str(folder / "two\nlines.png"), folder, folder / "half.png",
        folder / "plain.png", files[3],
    ]  # fmt: skip


def in_this_process(function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], **how: Any) -> Iterator[Any]:
    """In place of ``in_order``: the functions, called where a test can patch what they use."""
    del how
    for task in tasks:
        yield function(*task)


@pytest.mark.usefixtures("opencv_has_threads")
def test_the_answers_do_not_depend_on_the_number_of_jobs(folder: Path, mixed: list[ImageSource]) -> None:
    reader = Reader(folder / "index")
    options = SearchOptions(limit=3, unproven=True)
    alone = list(look_up_each(reader, mixed, options, jobs=1))
    names = [[Path(match.name).name for match in answers][:1] for answers in alone]
    assert names == [
        ["000.png"], [], ["004.png"], [], ["002.png"], [], ["001.png"], ["001.png"], ["000.png"], ["005.png"], [],
        ["000.png"], [], ["003.png"],
    ]  # fmt: skip
    assert [answers.status for answers in alone if not answers] == [
        "decode_failed", "not_found", "decode_failed", "decode_failed", "too_little_detail",
    ]  # fmt: skip
    assert [bool(answers.message) for answers in alone if not answers] == [True, True, True, True, False]
    readable = [image for image, answers in zip(mixed, alone, strict=True) if not answers.message]
    assert said(one for one in alone if not one.message) == said(look_up(reader, image, options) for image in readable)
    assert said(look_up_each(reader, iter(mixed), options, jobs=2)) == said(alone)


def test_options_reach_other_processes(folder: Path) -> None:
    index = Index.open(folder / "index", root=folder / "photos")
    half = (folder / "half.png").rename(folder / "photos" / "half.png")
    index.add([half], jobs=1, text="harbour")
    pictures = 2 * photos(folder)
    found = list(look_up_each(index, pictures, SearchOptions(match="harbour"), jobs=2))
    assert [[match.name for match in answers] for answers in found] == 2 * [["half.png"], *5 * [[]]]
    small = SearchOptions(decoding=DecodingOptions(max_pixels=100))
    assert {answers.status for answers in look_up_each(index, pictures, small, jobs=2)} == {"too_large"}


def test_few_images_need_no_other_searching_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def processes_for(jobs: int, tasks: int) -> int:
        asked.append(jobs)
        return 1

    monkeypatch.setattr(many, "processes_for", processes_for)
    reader, pictures = Reader(folder / "index"), 12 * [np.zeros((20, 20, 3), np.uint8)]
    for images in (pictures[:1], pictures[:11], []):
        assert len(list(look_up_each(reader, images, _OPTIONS, jobs=5))) == len(images)
    assert asked == []
    assert len(list(look_up_each(reader, pictures, _OPTIONS, jobs=5))) == 12
    assert asked == [5]


def test_what_goes_wrong_elsewhere_is_done_again_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [Lost("took more than 0.1 seconds"), None, Matches()]

    def in_order(function: Any, tasks: Iterable[Any], **how: Any) -> Iterator[Any]:
        del function
        assert (how["jobs"], how["seconds"]) == (2, 70.0)
        for number, _ in enumerate(tasks):
            yield results[min(number, 2)]

    monkeypatch.setattr(many, "in_order", in_order)
    found = list(look_up_each(Reader(folder / "index"), 2 * photos(folder), _OPTIONS, jobs=2))
    assert [len(answers) for answers in found] == [1, 1, *[0] * 10]


def test_an_error_of_the_index_is_raised_in_its_turn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "in_order", in_this_process)
    reader, pictures = Reader(folder / "index"), 2 * photos(folder)
    answers = look_up_each(reader, pictures, _OPTIONS, jobs=2)
    assert len(next(answers)) == 1

    def fail(*_: object, **__: object) -> None:
        raise StoreError("damaged")

    monkeypatch.setattr("featmatch.search.stages.named", fail)
    with pytest.raises(StoreError, match="damaged"):
        next(answers)


def test_what_is_no_image_is_misuse_in_its_turn(folder: Path) -> None:
    images: list[Any] = [*photos(folder), *photos(folder), 3]
    for jobs in (1, 2):
        answers = look_up_each(Reader(folder / "index"), images, _OPTIONS, jobs=jobs)
        assert [len(next(answers)) for _ in range(12)] == [1] * 12
        with pytest.raises(UsageError, match="not an image: int"):
            next(answers)


@pytest.mark.parametrize("images", ["a.jpg", b"a", bytearray(b"a"), Path("a"), np.zeros((9, 9, 3), np.uint8), None, 3])
def test_one_image_is_no_list_of_images(folder: Path, images: Any) -> None:
    with pytest.raises(UsageError, match=f"^images is a list of images, not {type(images).__name__}$"):
        look_up_each(Reader(folder / "index"), images, _OPTIONS, jobs=1)


def test_options_that_cannot_be_meant_are_refused_at_the_call(folder: Path) -> None:
    wrong: Any = "wrong"
    for name in ("limit", "voting", "geometry"):
        with pytest.raises(UsageError, match=name):
            look_up_each(Reader(folder / "index"), [], SearchOptions(**{name: wrong}), jobs=1)
    with pytest.raises(UsageError, match="no word"):
        look_up_each(Reader(folder / "index"), [], SearchOptions(match="!"), jobs=1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_answers_are_of_the_state_at_the_call(folder: Path, jobs: int) -> None:
    """Other processes that come too late to see it leave the work to this one."""
    index = Index.open(folder / "index", root=folder / "photos")
    answers = look_up_each(index, 2 * photos(folder), _OPTIONS, jobs=jobs)
    with contextlib.closing(answers):  # type: ignore[type-var]
        assert [match.name for match in next(answers)] == ["000.png"]
        writer = Index.open(index.folder)
        writer.remove(["001.png", "003.png"])
        writer.compact()
        index.refresh()
        assert [len(one) for one in answers] == [1] * 11
    assert [len(one) for one in index.query_many(2 * photos(folder), jobs=jobs)] == 2 * [1, 0, 1, 0, 1, 1]


def test_a_process_that_sees_another_state_gives_no_answer(folder: Path) -> None:
    reader = Reader(folder / "index")
    path = photos(folder)[0]
    state = (many._State(reader.folders, None, reader.snapshot.catalog.stamp, None),)
    found = many._answer_in_process(state, _OPTIONS, path)
    assert found is not None
    assert said([found]) == said([look_up(reader, path, _OPTIONS)])
    other = (many._State(reader.folders, None, (0, 0, 0), None),)
    assert many._answer_in_process(other, _OPTIONS, path) is None
    assert many._answer_in_process(state, _OPTIONS, None) is None


def test_what_this_process_alone_may_read_is_not_left_to_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def distrust(*_: object) -> frozenset[str]:
        raise StoreError("no record")

    monkeypatch.setattr("featmatch.store.whereabouts.trusted_paths", distrust)
    monkeypatch.setattr(many, "in_order", None)
    reader = Reader(folder / "index")
    assert len(list(look_up_each(reader, 2 * photos(folder), _OPTIONS, jobs=2))) == 12
    assert reader.trust_problem == "no record"


def test_pictures_that_are_missing_are_told_of_each_query(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = photos(folder)
    queries = folder / "queries"
    (folder / "photos").rename(queries)
    for number in (1, 2, 3, 4, 5):
        os.link(queries / f"{number:03d}.png", folder / f"{number:03d}.png")
    images = 2 * [str(queries / Path(file).name) for file in files]
    for jobs in (1, 2):
        found = list(look_up_each(Reader(folder / "index", folder), images, _OPTIONS, jobs=jobs))
        assert [one.not_at_hand for one in found] == 2 * [["000.png"], [], [], [], [], []]


def test_images_are_taken_not_far_ahead(folder: Path) -> None:
    taken = 0

    def images() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield photos(folder)[taken % 6]

    for jobs, most in ((1, 14), (2, 30)):
        taken = 0
        answers = look_up_each(Reader(folder / "index"), images(), _OPTIONS, jobs=jobs)
        with contextlib.closing(answers):  # type: ignore[type-var]
            assert len(next(answers)) == 1
            assert taken <= most
