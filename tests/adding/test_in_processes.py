"""Adding files as it is done: each in another process, whatever that does to it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch import Index, UsageError, Vocabulary
from featmatch.proof.drawing import draw_proof
from tests.adding.decoders import treacherous

Photos = dict[str, NDArray[np.uint8]]
NAMES = ("astronaut", "chelsea", "coffee")


@pytest.fixture
def index(tiny_vocabulary: Vocabulary, tmp_path: Path) -> Index:
    return Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)


@pytest.fixture
def pages(photos: Photos) -> list[Image.Image]:
    return [Image.fromarray(photos[name]).resize((320, 240)) for name in NAMES]


def save_pages(pages: list[Image.Image], path: Path, changed_s: int = 0) -> str:
    pages[0].save(path, save_all=True, append_images=pages[1:])
    os.utime(path, (1_700_000_000 + changed_s,) * 2)
    return str(path)


def names(index: Index) -> list[str]:
    return [record.name for record in index.images()]


@pytest.mark.parametrize("suffix", ["tif", "pdf"])
def test_pages_are_images_of_their_own(index: Index, pages: list[Image.Image], tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("pypdfium2")
    path = save_pages(pages, tmp_path / f"scan.{suffix}")
    assert index.add([path], pages=True).added == named(path, 1, 2, 3)
    assert len({record.sha256 for record in index.images()}) == 3
    for number, page in enumerate(pages, 1):
        match = index.query(np.asarray(page))[0]
        assert match.name == f"{path}#page={number}"
        assert draw_proof(np.asarray(page), match.name, match.proof).shape[0] == 720
    assert index.query(path)[0].name == f"{path}#page=1"
    assert index.query(f"{path}#page=2")[0].name == f"{path}#page=2"
    assert index.remove(named(path, 2)) == named(path, 2)
    assert names(index) == named(path, 1, 3)


def test_the_first_page_only_unless_asked_for_all(index: Index, pages: list[Image.Image], tmp_path: Path) -> None:
    path = save_pages(pages, tmp_path / "scan.tif")
    assert index.add([tmp_path / "scan.tif"]).added == [path]
    assert index.add([path], pages=True).added == named(path, 1, 2, 3)
    assert names(index) == named(path, 1, 2, 3)


def test_unchanged_pages_are_skipped_and_missing_ones_completed(
    index: Index, pages: list[Image.Image], tmp_path: Path
) -> None:
    path = save_pages(pages, tmp_path / "scan.tif")
    index.add([path], pages=True)
    assert index.add([path]).skipped == named(path, 1, 2, 3)
    index.remove(named(path, 2))
    report = index.add([path], pages=True)
    assert (report.added, report.skipped) == (named(path, 2), named(path, 1, 3))


def test_pages_follow_a_file_that_changes(index: Index, pages: list[Image.Image], tmp_path: Path) -> None:
    path = save_pages(pages, tmp_path / "scan.tif")
    index.add([path], pages=True)
    save_pages(pages[1:], tmp_path / "scan.tif", changed_s=5)
    assert index.add([path]).added == named(path, 1, 2)
    assert names(index) == named(path, 1, 2)
    assert index.query(np.asarray(pages[1]))[0].name == f"{path}#page=1"
    save_pages(pages[:1], tmp_path / "scan.tif", changed_s=9)
    assert index.add([path], pages=True).added == [path]
    assert names(index) == [path]


def test_pages_of_a_file_that_got_unreadable_stay(index: Index, pages: list[Image.Image], tmp_path: Path) -> None:
    path = save_pages(pages, tmp_path / "scan.tif")
    index.add([path], pages=True)
    Path(path).write_bytes(b"II*\0nothing")
    report = index.add([path], pages=True)
    assert [(failure.name, failure.status) for failure in report.failed] == [(path, "decode_failed")]
    assert names(index) == named(path, 1, 2, 3)


def test_a_photo_has_no_pages(index: Index, pages: list[Image.Image], tmp_path: Path) -> None:
    path = str(tmp_path / "photo.png")
    pages[0].save(path)
    single = save_pages(pages[:1], tmp_path / "single.tif")
    assert index.add([path, single], pages=True).added == [path, single]


def named(path: str, *numbers: int) -> list[str]:
    return [f"{path}#page={number}" for number in numbers]


# Bounds


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals work differently here")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_that_is_too_much_for_its_decoder_costs_itself_only(
    index: Index, pages: list[Image.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    waits = ["hang"] if jobs == 2 else []  # the test waits, too: once is enough
    files = [tmp_path / f"{name}.png" for name in ("a", "crash", "b", *waits, "c", "memory", "d")]
    for number, file in enumerate(files):
        pages[number % 3].rotate(number).save(file)
    monkeypatch.setattr("featmatch.adding.batches.index_file", treacherous)
    report = index.add(files, jobs=jobs, timeout=5.0)
    assert [Path(name).stem for name in report.added] == ["a", "b", "c", "d"]
    assert {Path(failure.name).stem: failure.status for failure in report.failed} == dict.fromkeys(
        ("crash", *waits, "memory"), "decode_failed"
    )
    reasons = [failure.message for failure in report.failed]
    assert reasons == [
        "its process ended: SIGSEGV", *["took more than 5 seconds" for _ in waits], "wants more than 4096 MB of memory",
    ]  # fmt: skip
    monkeypatch.undo()
    assert len(index.add(files, jobs=jobs).added) == len(reasons)


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan")])
def test_timeout_is_a_time(index: Index, timeout: float) -> None:
    with pytest.raises(UsageError):
        index.add([], timeout=timeout)


def test_another_vocabulary_in_an_old_place_is_noticed(
    tiny_vocabulary: Vocabulary, photo_folder: Path, tmp_path: Path
) -> None:
    import shutil

    from featmatch import FeatureOptions, TrainingOptions, train_vocabulary

    options = TrainingOptions(words=256)
    other = train_vocabulary([photo_folder], features=FeatureOptions(longest_px=320), options=options, jobs=1)
    found = []
    for vocabulary in (tiny_vocabulary, other):
        index = Index.open(tmp_path / "index", create=True, vocabulary=vocabulary)
        index.add([photo_folder / "chelsea.png"], jobs=1)
        found.append(index.query(photo_folder / "chelsea.png")[0].name)
        shutil.rmtree(tmp_path / "index")
    assert found == [str(photo_folder / "chelsea.png")] * 2
