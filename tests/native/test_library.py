from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from featmatch.errors import MissingFeatureError, UsageError
from featmatch.native import library as libraries
from featmatch.native.library import LEVELS, address, levels, library


@pytest.fixture(autouse=True)
def loaded_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def forget() -> None:
        libraries._loaded.cache_clear()
        levels.cache_clear()

    monkeypatch.delenv("FEATMATCH_CPU", raising=False)
    forget()
    yield
    forget()


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A copy of the libraries, without sources beside them, as a wheel has them."""
    for level in levels():
        shutil.copy(libraries._path(level), tmp_path)
    monkeypatch.setattr(libraries, "_FOLDER", tmp_path)
    levels.cache_clear()
    libraries._loaded.cache_clear()
    return tmp_path


def test_the_best_level_is_loaded_and_each_below_may_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    assert levels() == LEVELS[: len(levels())]
    assert f"kernels_{levels()[-1]}." in library()._name
    for level in levels():
        monkeypatch.setenv("FEATMATCH_CPU", level)
        assert f"kernels_{level}." in library()._name


def test_no_level_is_forced_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for level in ("sse9", *LEVELS[len(levels()) :]):
        monkeypatch.setenv("FEATMATCH_CPU", level)
        with pytest.raises(UsageError, match=f"FEATMATCH_CPU is '{level}'; here it may be one of baseline"):
            library()


def test_a_level_that_the_compiler_did_not_know_is_done_without(folder: Path) -> None:
    if len(levels()) == 1:
        pytest.skip("there is one level only")
    libraries._path(levels()[-1]).unlink()
    fewer = levels()[:-1]
    levels.cache_clear()
    assert levels() == fewer
    assert library()._name == str(libraries._path(fewer[-1]))
    assert library()._name.startswith(str(folder))


def test_kernels_that_are_not_built_are_told(folder: Path) -> None:
    for level in LEVELS:
        libraries._path(level).unlink(missing_ok=True)
    with pytest.raises(MissingFeatureError, match="kernels are not built for this machine"):
        library()


@pytest.mark.parametrize("source", ["sift.c", "kernels.h"])
def test_kernels_of_other_sources_are_told(folder: Path, source: str) -> None:
    """As they are after a change of the sources in a working tree; those of a wheel have none beside them."""
    (folder / source).write_text("/* of tomorrow */")
    with pytest.raises(MissingFeatureError, match=r"older than their sources; install it anew: pip install -e \."):
        library()


def test_an_older_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(libraries._SIGNATURES, "featmatch_of_tomorrow", (None, []))
    with pytest.raises(MissingFeatureError, match=r"install it anew: .*featmatch_of_tomorrow"):
        library()


def test_the_address_is_that_of_the_first_element() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert address(array, np.float32, 2) == array.ctypes.data
    assert address(array[1:], np.float32, 2, written=True) == array.ctypes.data + 16
    nothing, columns = array[:0], np.zeros((2, 3), np.dtype([("x", "f4"), ("row", "i4")]))
    assert address(nothing, np.float32, 2) == nothing.ctypes.data
    assert address(columns, columns.dtype, 2) == columns.ctypes.data
    array.setflags(write=False)
    assert address(array, np.float32, 2) == array.ctypes.data


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
