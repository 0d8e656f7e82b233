from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featmatch.errors import MissingFeatureError, UsageError
from featmatch.native import library as libraries
from featmatch.native.library import LEVELS, address, library


@pytest.fixture
def best(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.delenv("FEATMATCH_CPU", raising=False)
    return int(library().featmatch_best_level())


def test_the_best_level_is_loaded_and_each_below_may_be_forced(best: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"kernels_{LEVELS[best]}." in library()._name
    for level in LEVELS[: best + 1]:
        monkeypatch.setenv("FEATMATCH_CPU", level)
        assert f"kernels_{level}." in library()._name


def test_no_level_is_forced_that_there_is_not(best: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for level in ("sse9", *LEVELS[best + 1 :]):
        monkeypatch.setenv("FEATMATCH_CPU", level)
        with pytest.raises(UsageError, match=f"FEATMATCH_CPU is '{level}'; here it may be one of baseline"):
            library()


def test_kernels_that_are_not_built_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(libraries, "_FOLDER", tmp_path)
    libraries._loaded.cache_clear()
    with pytest.raises(MissingFeatureError, match="kernels are not built for this machine"):
        library()


def test_an_older_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(libraries._SIGNATURES, "featmatch_of_tomorrow", (None, []))
    libraries._loaded.cache_clear()
    with pytest.raises(MissingFeatureError, match=r"install it anew: .*featmatch_of_tomorrow"):
        library()


def test_the_address_is_that_of_the_first_element() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert address(array, np.float32, 2) == array.ctypes.data
    assert address(array[1:], np.float32, 2, written=True) == array.ctypes.data + 16


@pytest.mark.parametrize(
    "given",
    [
        np.zeros((3, 4), np.float64),
        np.zeros((3, 4), ">f4"),
        np.zeros(12, np.float32),
        [[1.0]],
        np.zeros((3, 8), np.float32)[:, ::2],
        np.zeros((3, 8), np.float32)[:, :4],
        np.zeros((4, 3), np.float32).T,
        np.zeros(49, np.uint8)[1:].view(np.float32).reshape(3, 4),
    ],
    ids=["type", "byte order", "dimensions", "no array", "columns", "rows", "transposed", "not aligned"],
)
def test_other_arrays_are_refused(given: np.ndarray) -> None:
    with pytest.raises(UsageError, match="an array"):
        address(given, np.float32, 2)


def test_what_is_written_to_must_be_writable() -> None:
    array = np.zeros(3, np.float32)
    array.setflags(write=False)
    assert address(array, np.float32)
    with pytest.raises(UsageError, match="writable"):
        address(array, np.float32, written=True)
