from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from featmatch import Index, Vocabulary
from featmatch.adding import one_image
from featmatch.adding.one_image import Failure, IndexedFile, count_pages, index_file
from featmatch.features.extraction import FeatureOptions, Features, extract_grey
from featmatch.features.looks import whole_picture
from featmatch.images.contents import content_of
from featmatch.images.decoding import DecodingOptions
from featmatch.images.metadata import Metadata
from featmatch.images.pixels import load_grey
from featmatch.images.stored import stored_picture
from featmatch.store.layout import VOCABULARY
from featmatch.store.postings import restored
from tools.small_index import FEATURES, draw_pictures

pytestmark = pytest.mark.usefixtures("decoded_here")
DECODING = DecodingOptions(timeout=7.0, max_pixels=1 << 20)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A drawn picture of 96 x 128 px."""
    return draw_pictures(tmp_path / "drawn", 1)[0]


@pytest.fixture
def indexed(small: Index) -> Callable[..., IndexedFile | Failure]:
    def index(path: Path | str, options: FeatureOptions = FEATURES) -> IndexedFile | Failure:
        return index_file(str(path), small.folder / VOCABULARY, options, DECODING)

    return index


def stored(found: IndexedFile | Failure) -> IndexedFile:
    assert isinstance(found, IndexedFile)
    return found


def first(count: int) -> Callable[..., Features]:
    """``extract_grey`` that finds so many features only."""
    return lambda grey, options: extract_grey(grey, options)[:count]


def test_what_is_stored_of_a_picture(
    indexed: Callable[..., IndexedFile | Failure], picture: Path, small_words: Vocabulary
) -> None:
    os.utime(picture, ns=(1, 123_456_789))
    one = stored(indexed(picture))
    assert (one.sha256, one.bytes, one.mtime_ns) == (content_of(str(picture)), picture.stat().st_size, 123_456_789)
    assert (one.metadata, one.damaged) == (Metadata(format="PNG"), False)
    grey = load_grey(picture, longest_px=FEATURES.longest_px, colours=True)
    features, whole = extract_grey(grey, FEATURES), whole_picture(grey)
    words = small_words.assign(features.descriptors)
    assert (one.image.width, one.image.height) == (96, 128)
    assert one.image.words.tolist() == words.ids[:, 0].tolist()
    assert one.image.postings.signature.tolist() == words.signatures[:, 0].tolist()
    assert one.image.picture.tobytes() == stored_picture(grey).tobytes()
    assert (one.image.phash, one.image.look) == (whole.phashes[0], whole.looks[0])
    rows = np.arange(len(features))
    keypoints, angles, sizes = restored(one.image.postings, rows, np.full(len(rows), 128, np.int32))
    assert np.abs(keypoints - features.keypoints).max() < 0.01
    assert np.abs(np.exp(1j * angles) - np.exp(1j * features.angles)).max() < 0.02
    assert np.abs(sizes - np.log2(features.sizes)).max() < 0.05


def test_no_picture_is_stored_where_none_is_wanted(small: Index, picture: Path) -> None:
    one = stored(index_file(str(picture), small.folder / VOCABULARY, FEATURES, DECODING, pictures=False))
    assert len(one.image.picture) == 0
    assert len(one.image.words) > 0


def test_options_reach_the_decoder_and_the_detector(
    indexed: Callable[..., IndexedFile | Failure], picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    def loaded(path: str, **how: Any) -> Any:
        told.update(how)
        return load_grey(path, **how)

    monkeypatch.setattr(one_image, "load_grey", loaded)
    options = FeatureOptions(longest_px=100, shortest_px=90, features=20)
    assert len(stored(indexed(picture, options)).image.words) == 20
    assert told == {"longest_px": 100, "shortest_px": 90, "colours": True, "decoding": DECODING}


def test_too_few_features_do_not_count(
    indexed: Callable[..., IndexedFile | Failure], picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count, kept in ((9, 9), (8, 8), (7, 0), (0, 0)):
        monkeypatch.setattr(one_image, "extract_grey", first(count))
        assert len(stored(indexed(picture)).image.words) == kept


def test_a_picture_without_features_and_detail_is_none(
    indexed: Callable[..., IndexedFile | Failure], picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tmp_path / "plain.png"
    Image.new("RGB", (60, 40), (9, 99, 199)).save(plain)
    failure = Failure(str(plain), "too_little_detail", "only 0 features, and plain as a whole")
    assert indexed(plain) == failure
    detail = whole_picture(load_grey(picture, longest_px=2000, colours=True)).detail
    monkeypatch.setattr(one_image, "LEAST_DETAIL", detail)
    assert isinstance(indexed(picture), IndexedFile)
    monkeypatch.setattr(one_image, "extract_grey", first(3))
    assert isinstance(indexed(picture), IndexedFile)  # as much as is asked for
    monkeypatch.setattr(one_image, "LEAST_DETAIL", detail * 1.01)
    assert indexed(picture) == Failure(str(picture), "too_little_detail", "only 3 features, and plain as a whole")


def test_what_cannot_be_read_is_a_failure(indexed: Callable[..., IndexedFile | Failure], tmp_path: Path) -> None:
    missing, text, large = tmp_path / "missing.png", tmp_path / "text.png", tmp_path / "large.png"
    text.write_text("no image")
    Image.new("1", (1 << 10, (1 << 10) + 1)).save(large)
    assert indexed(missing) == Failure(str(missing), "not_found", "no such file")
    assert indexed(text) == Failure(str(text), "decode_failed", "not an image, or of an unknown format")
    assert indexed(large) == Failure(str(large), "too_large", "1024 x 1025 pixels; 1048576 at most (max-pixels)")


@pytest.mark.parametrize("error", [OSError("gone meanwhile"), cv2.error("of OpenCV")])
def test_what_fails_after_decoding_is_a_failure(
    indexed: Callable[..., IndexedFile | Failure], picture: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(path: str) -> str:
        raise error

    monkeypatch.setattr(one_image, "content_of", failing)
    assert indexed(picture) == Failure(str(picture), "decode_failed", str(error))


def test_a_file_that_is_cut_short_is_damaged(indexed: Callable[..., IndexedFile | Failure], picture: Path) -> None:
    jpeg = picture.with_suffix(".jpg")
    Image.open(picture).resize((384, 512)).save(jpeg)
    assert not stored(indexed(jpeg)).damaged
    jpeg.write_bytes(jpeg.read_bytes()[: jpeg.stat().st_size // 2])
    assert stored(indexed(jpeg)).damaged


def test_a_page_is_stored_with_the_state_of_its_file(
    indexed: Callable[..., IndexedFile | Failure], tmp_path: Path
) -> None:
    pages = [Image.open(path) for path in draw_pictures(tmp_path / "drawn", 2)]
    scan = tmp_path / "scan.tif"
    pages[0].save(scan, save_all=True, append_images=pages[1:])
    one, two = (stored(indexed(f"{scan}#page={page}")) for page in (1, 2))
    assert one.bytes == two.bytes == scan.stat().st_size
    assert one.mtime_ns == two.mtime_ns == scan.stat().st_mtime_ns
    assert len({one.sha256, two.sha256, content_of(str(scan))}) == 3
    assert one.image.phash != two.image.phash
    assert indexed(f"{scan}#page=3") == Failure(f"{scan}#page=3", "not_found", "has no page 3")
    assert count_pages(str(scan)) == 2


def test_pages_that_cannot_be_counted_are_a_failure(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.tif")
    assert count_pages(missing) == Failure(missing, "not_found", "no such file")


@pytest.mark.parametrize("at_work", [True, False])
def test_processes_that_share_the_cores_use_one_each(
    indexed: Callable[..., IndexedFile | Failure], picture: Path, monkeypatch: pytest.MonkeyPatch, at_work: bool
) -> None:
    threads: list[int] = []
    monkeypatch.setattr(one_image, "at_work", lambda: at_work)
    monkeypatch.setattr("cv2.setNumThreads", threads.append)
    indexed(picture)
    assert threads == [1] * at_work


def test_the_vocabulary_is_read_again_only_where_its_file_is_another(
    indexed: Callable[..., IndexedFile | Failure], small: Index, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def vocabulary_of(folder: Path) -> Vocabulary:
        read.append(folder)
        return small.vocabulary

    monkeypatch.setattr(one_image, "vocabulary_of", vocabulary_of)
    one_image._vocabulary.cache_clear()
    for _ in range(2):
        indexed(picture)
    assert read == [small.folder]
    os.utime(small.folder / VOCABULARY, ns=(1, 1))
    indexed(picture)
    assert read == [small.folder] * 2
    one_image._vocabulary.cache_clear()
