"""Measure which pairs `featmatch groups` would miss if a collection were a large one, and how much is read there.

    python -m tools.bench_joining INDEX [--every 2]

In a large collection a hit must agree in the highest bits of its signature, all but one (`grouping/joining.py`): the
longer lists are, the more bits. Every second image of an index is compared with all that come before it, once as in a
small collection and once for each number of bits. Pairs of 0.8 or more count.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np

from featmatch import Index
from featmatch.grouping import finding, joining
from featmatch.store.reader import Reader
from featmatch.store.segment import MANY_FEATURES

_SURE = 0.8  # probability of pairs that count
_BITS = range(2, 9)


def main() -> int:
    """Compare, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--every", type=int, default=2, help="of so many images one is compared with all before it")
    arguments = parser.parse_args()
    index = Index.open(arguments.index)
    images = sorted({record.id for record in index.images()})[:: arguments.every]
    whole = sure_pairs(index, images)
    print(f"{len(whole)} pairs of {_SURE} or more, of {len(images)} images with those before them\n")
    print("| bits | from features, millions | of each list read | pairs lost | others found |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for bits in _BITS:
        with large(bits):
            found = sure_pairs(index, images)
        print(
            f"| {bits} | {fewest_features(bits, len(index.vocabulary)) / 1e6:.0f} "
            f"| {(bits + 1) / 2**bits:.1%} | {len(whole - found)} | {len(found - whole)} |",
            flush=True,
        )
    return 0


@contextmanager
def large(bits: int) -> Iterator[None]:
    """Any collection is a large one, in which all but one of so many bits must agree."""
    with patch.object(joining, "MANY_FEATURES", 0), patch.object(joining, "_agreeing_bits", lambda *_: bits):
        yield


def sure_pairs(reader: Reader, images: list[int]) -> set[tuple[int, int]]:
    """The pairs that count of some images with all before them, by both ids."""
    pairs = finding.compare_block(reader, images, np.empty(0, np.int64))
    return {pair.key for pair in pairs if pair.probability(reader.options.detector) >= _SURE}


def fewest_features(bits: int, words: int) -> int:
    """From how many features on so many bits must agree.

    >>> fewest_features(2, 65_536), fewest_features(8, 65_536)
    (20000001, 314572801)
    """
    fewest, most = MANY_FEATURES + 1, 1 << 40
    while fewest < most:
        middle = (fewest + most) // 2
        if joining._agreeing_bits(middle, words) >= bits:
            most = middle
        else:
            fewest = middle + 1
    return fewest


if __name__ == "__main__":
    sys.exit(main())
