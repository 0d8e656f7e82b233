"""How other tools are asked; what they find is measured by hand, with the tools themselves."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.images.pixels import load_display
from tools import bench_peers, peers


@pytest.fixture
def names(small_photos: Path) -> list[str]:
    """Some files."""
    return sorted(map(str, small_photos.iterdir()))


def grid(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """64 bits: which of 8 x 8 cells are brighter than the middle one."""
    small = cv2.resize(picture, (8, 8), interpolation=cv2.INTER_AREA).mean(axis=2)
    return np.asarray(small > np.median(small)).ravel()


def test_hashes_rank_by_their_distance(names: list[str]) -> None:
    built = peers.hashes(names, grid)
    found = built.search(np.asarray(cv2.resize(load_display(names[2]), (90, 70)), np.uint8))
    assert (found[0][0], len(found), built.bytes) == (names[2], len(names), 8 * len(names))
    assert found[0][1] > -8 and [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_matching_with_each_counts_inliers(names: list[str]) -> None:
    search = peers.brute_force(names).search
    picture = load_display(names[1])
    (best, inliers), *others = search(np.ascontiguousarray(picture[20:, 30:]))
    assert best == names[1] and inliers > 20 and all(score < inliers / 2 for _, score in others)
    assert search(np.zeros((60, 60, 3), np.uint8)) == []


def test_cropcatcher_gets_files(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Index:
        def __init__(self, method: str) -> None:
            assert method == "sift"

        def add_images(self, images: list[str]) -> None:
            self.images = images

        def save(self, path: Path) -> None:
            Path(path).write_bytes(bytes(1000))

        def search(self, query: Path, max_workers: int) -> list[Any]:
            assert load_display(query).tobytes() == load_display(names[1]).tobytes() and max_workers == 1
            return [SimpleNamespace(source=name, score=1 / (1 + place)) for place, name in enumerate(self.images)]

    monkeypatch.setitem(sys.modules, "cropcatcher", SimpleNamespace(Index=Index))
    built = peers.cropcatcher(names, "sift")
    assert (built.search(load_display(names[1]))[:2], built.bytes) == ([(names[0], 1.0), (names[1], 0.5)], 1000)


def test_what_is_not_installed_is_skipped(
    small_photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "imagehash", None)
    monkeypatch.setattr(sys, "argv", ["bench", str(small_photos), "--count", "1", "--only", "imagehash, p", "OpenCV"])
    bench_peers.main()
    told = capsys.readouterr()
    rows = told.out.splitlines()
    assert told.err.startswith("imagehash, pHash of 64 bits: skipped") and told.err.count("skipped") == 1
    assert [row.split("(")[0] for row in rows[5:]] == ["| OpenCV: SIFT, ratio test, RANSAC "]
