from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch import Index, Vocabulary
from featmatch.grouping import joining
from featmatch.store.segment import MANY_FEATURES
from tools import bench_joining


def test_what_large_collections_miss_is_counted(
    photos: dict[str, NDArray[np.uint8]],
    tiny_vocabulary: Vocabulary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("chelsea", "coffee"):
        picture = Image.fromarray(photos[name])
        picture.thumbnail((300, 300))
        picture.save(tmp_path / f"{name}.png")
        picture.save(tmp_path / f"{name}.jpg", quality=50)
    index = Index.open(tmp_path / "i.fm", create=True, vocabulary=tiny_vocabulary)
    index.add([tmp_path], jobs=1)
    monkeypatch.setattr(sys, "argv", ["bench_joining", str(tmp_path / "i.fm"), "--every", "1"])
    monkeypatch.setattr(bench_joining, "_BITS", [8])
    assert bench_joining.main() == 0
    first, *_, last = capsys.readouterr().out.strip().splitlines()
    assert first == "2 pairs of 0.8 or more, of 4 images with those before them"
    assert last.split("|")[1].strip() == "8"
    assert last.endswith("| 3.5% | 0 | 0 |")


def test_a_collection_is_large_meanwhile_only() -> None:
    with bench_joining.large(3):
        assert (vars(joining)["MANY_FEATURES"], joining._agreeing_bits(1, 1)) == (0, 3)
    assert (vars(joining)["MANY_FEATURES"], joining._agreeing_bits(1, 1)) == (MANY_FEATURES, 0)


def test_from_how_many_features_on() -> None:
    for bits in range(2, 9):
        fewest = bench_joining.fewest_features(bits, 65_536)
        assert joining._agreeing_bits(fewest, 65_536) == bits
        assert fewest == MANY_FEATURES + 1 or joining._agreeing_bits(fewest - 1, 65_536) < bits
