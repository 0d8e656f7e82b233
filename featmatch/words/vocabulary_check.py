"""Is a vocabulary one that can be used? It may come from a stranger.

Whoever uses its arrays believes them: compiled code looks up words and cells without looking at bounds. And what is in
it decides how much memory a search takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from featmatch.features.extraction import DESCRIPTOR_SIZE
from featmatch.features.symmetry import SIFT_PERMUTATIONS

if TYPE_CHECKING:
    from featmatch.words.vocabulary import Vocabulary

SIGNATURE_BITS = 64

# The type of each array in a file, and how many axes it has.
ARRAYS = {
    "meta": ("u1", 1),
    "words": ("u1", 2),
    "cells": ("u1", 2),
    "cell_offsets": ("<i8", 1),
    "projection": ("i1", 2),
    "idf": ("<f4", 1),
    "flann_tree": ("u1", 1),
}

# With these a batch of descriptors takes at most some 300 MB.
_MOST_WORDS = 1 << 22  # all forms counted, as are cells
_MOST_CELLS = 1 << 14
_MOST_OF_CELL = 1 << 14  # base words
_MOST_PROBES = 64
_MOST_IDF = 100.0  # nats


def wrongs(vocabulary: Vocabulary) -> Iterator[str]:
    """What is wrong, in words; only the first can be relied on, since each look believes what those before it saw."""
    yield from _of_settings(vocabulary)
    for name, array in vocabulary.arrays().items():
        kind, axes = ARRAYS[name]
        if array.dtype != np.dtype(kind) or array.ndim != axes:
            yield f"{name} is of another type or shape"
    yield from _of_words(vocabulary)
    yield from _of_projection(vocabulary)


def _of_settings(vocabulary: Vocabulary) -> Iterator[str]:
    if not isinstance(vocabulary.detector, str) or vocabulary.detector not in DESCRIPTOR_SIZE:
        yield f"there is no detector {vocabulary.detector!r:.40}"
    if vocabulary.search not in ("two-level", "flann"):
        yield f"there is no word search {vocabulary.search!r:.40}"
    if type(vocabulary.probes) is not int or not 1 <= vocabulary.probes <= _MOST_PROBES:
        yield f"probes is 1 to {_MOST_PROBES}, not {vocabulary.probes!r:.40}"
    if not isinstance(vocabulary.provenance, dict):
        yield "its provenance is no table"


def _of_words(vocabulary: Vocabulary) -> Iterator[str]:
    words, cells, forms = len(vocabulary.words), len(vocabulary.cells), vocabulary.forms
    if not 1 <= words <= _MOST_WORDS // forms or not 1 <= cells <= _MOST_CELLS // forms:
        yield f"it has {words} words in {cells} cells"
    size = DESCRIPTOR_SIZE[vocabulary.detector]
    if any(array.shape[1] != size for array in (vocabulary.words, vocabulary.cells, vocabulary.projection)):
        yield f"its words are not as long as descriptors of {vocabulary.detector}"
    offsets, lengths = vocabulary.cell_offsets, np.diff(vocabulary.cell_offsets)
    if len(offsets) != cells + 1 or offsets[0] != 0 or offsets[-1] != words or (lengths < 0).any():
        yield "its cells do not hold its words"
    if lengths.max() > _MOST_OF_CELL:
        yield f"a cell holds {lengths.max()} words"
    if len(vocabulary.idf) != words or not ((vocabulary.idf >= 0) & (vocabulary.idf <= _MOST_IDF)).all():
        yield "an idf is missing, or out of range"


def _of_projection(vocabulary: Vocabulary) -> Iterator[str]:
    rows = vocabulary.projection.astype(np.int64)
    if len(rows) != SIGNATURE_BITS or not rows.any(axis=1).all():
        yield f"its projection has not {SIGNATURE_BITS} rows that say something"
    turned = zip(SIFT_PERMUTATIONS, vocabulary.form_signs, strict=True) if vocabulary.forms > 1 else ()
    if any((rows[:, permutation] != rows * signs[:, None]).any() for permutation, signs in turned):
        yield "its projection does not go with mirrored and negative pictures"
