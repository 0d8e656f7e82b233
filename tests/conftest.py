"""What several test files need: a few photos, and a small vocabulary trained on them."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from featmatch.features.extraction import FeatureOptions
from featmatch.words.training import train_vocabulary
from featmatch.words.vocabulary import Vocabulary

# Tests start hundreds of programs, and each would compile featmatch anew. Here, so that pytest keeps what it compiles.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# These come inside the scikit-image wheel; the others would be downloaded.
PHOTOS = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "rocket")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing of what is collected becomes garbage: the collector of that need not look at it, now or between tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """State and cache of the tests' own, for their processes too: what they add is no business of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("state")
        patch.setenv("XDG_STATE_HOME", str(folder))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def nothing_waits_for_disks() -> Iterator[None]:
    """A process that is killed loses nothing that it wrote: only a machine does, and no test ends one."""

    def flush(descriptor: int) -> None:
        os.fstat(descriptor)  # what is not open is still refused

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", flush)
        yield


@pytest.fixture(scope="session", autouse=True)
def pngs_are_written_quickly() -> Iterator[None]:
    """Tests write hundreds of pictures, and to pack them well takes three times as long."""
    Image.preinit()
    save = Image.SAVE["PNG"]

    def save_quickly(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
        image.encoderinfo.setdefault("compress_level", 1)
        save(image, file, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Image.SAVE, "PNG", save_quickly)
        yield


@pytest.fixture(scope="session", autouse=True)
def opencv_has_one_thread() -> Iterator[None]:
    """In processes that the tests start, too: files run side by side, and its threads wait for one another at work."""
    threads = cv2.getNumThreads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENCV_FOR_THREADS_NUM", "1")
        cv2.setNumThreads(1)
        yield
    cv2.setNumThreads(threads)


@pytest.fixture
def opencv_has_threads() -> Iterator[None]:
    """In this process, as users have it: other processes of featmatch have one, and are to say the same."""
    cv2.setNumThreads(4)
    yield
    cv2.setNumThreads(1)


@pytest.fixture
def decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are decoded in the process of the test, where what it patches is seen."""
    monkeypatch.setattr("featmatch.system.workers.may_start", lambda: False)


@pytest.fixture(scope="session")
def photos() -> dict[str, NDArray[np.uint8]]:
    """Name -> (H, W, 3) uint8 RGB. Not to be written to: all tests share them."""
    pictures = {}
    for name in PHOTOS:
        picture = np.asarray(Image.fromarray(getattr(skimage.data, name)()).convert("RGB"))
        picture.setflags(write=False)
        pictures[name] = picture
    return pictures


@pytest.fixture(scope="session")
def photo_folder(photos: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each of ``photos`` as NAME.png. Not to be written to."""
    folder = tmp_path_factory.mktemp("photos")
    for name, picture in photos.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="session")
def small_photos(photos: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ten photos of at most 320 px: ``photos``, and parts of two of them. Not to be written to."""
    folder = tmp_path_factory.mktemp("small")
    for name, picture in {**photos, "roof": photos["coffee"][:, 300:], "suit": photos["astronaut"][256:]}.items():
        image = Image.fromarray(picture)
        image.thumbnail((320, 320))
        image.save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="session")
def tiny_vocabulary(photo_folder: Path) -> Vocabulary:
    """A closed SIFT vocabulary of 1024 words."""
    return train_vocabulary([photo_folder], features=FeatureOptions(longest_px=640), words=1024, jobs=1)


@pytest.fixture(scope="session")
def vocabulary_file(tiny_vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, as a file."""
    path = tmp_path_factory.mktemp("vocabulary") / "tiny.npz"
    tiny_vocabulary.save(path)
    return path


@pytest.fixture(scope="session")
def small_words() -> Vocabulary:
    """A vocabulary of 256 words for drawn pictures."""
    from tools.small_index import small_vocabulary

    return small_vocabulary()
