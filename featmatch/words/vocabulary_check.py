"""Faults of a vocabulary, which may come from a stranger.

Compiled code reads words and cells without checking bounds, and their number decides how much memory a search takes. So
everything is checked before any of it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.features.detectors import descriptor_size, descriptors_of
from featmatch.features.symmetry import SIFT_PERMUTATIONS
from featmatch.words.signatures import SIGNATURE_BITS, form_signs, forms_of

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

SEARCHES = ("two-level", "flann", "faiss", "nmslib", "annoy")  # by which words are found

# With these, words packed for a search take at most some 300 MB more than the words.
_MOST_WORDS = 1 << 22  # all forms counted, as are cells
_MOST_CELLS = 1 << 14
_MOST_OF_CELL = 1 << 14  # base words
_MOST_PROBES = 64
_MOST_IDF = 100.0  # nats


class Settings(NamedTuple):
    """What a vocabulary says of itself, beside its arrays. Before the check each may be of any type."""

    detector: Any
    search: Any
    probes: Any
    provenance: Any


Arrays = Mapping[str, NDArray[Any]]


def faults(settings: Settings, arrays: Arrays) -> Iterator[str]:
    """What is wrong with a vocabulary, in words. Only the first is reliable: each check relies on those before it."""
    yield from _of_settings(settings)
    for name, array in arrays.items():
        kind, axes = ARRAYS[name]
        if array.dtype != np.dtype(kind) or array.ndim != axes:
            yield f"{name} is of another type or shape"
    yield from _of_words(settings.detector, arrays)
    yield from _of_projection(forms_of(settings.detector), arrays["projection"])


def _of_settings(settings: Settings) -> Iterator[str]:
    if not _is_detector(settings.detector):
        yield f"there is no detector {settings.detector!r:.40}"
    if settings.search not in SEARCHES:
        yield f"there is no word search {settings.search!r:.40}"
    if type(settings.probes) is not int or not 1 <= settings.probes <= _MOST_PROBES:
        yield f"probes is 1 to {_MOST_PROBES}, not {settings.probes!r:.40}"
    if not isinstance(settings.provenance, dict):
        yield "its provenance is no table"


def _is_detector(value: Any) -> bool:
    """Whether it is a detector that words can be of: OpenCV's SIFT has those of ours."""
    try:
        return isinstance(value, str) and descriptor_size(value) > 0 and descriptors_of(value) == value
    except UsageError:
        return False


def _of_words(detector: str, arrays: Arrays) -> Iterator[str]:
    words, cells, forms = len(arrays["words"]), len(arrays["cells"]), forms_of(detector)
    if not 1 <= words <= _MOST_WORDS // forms or not 1 <= cells <= _MOST_CELLS // forms:
        yield f"it has {words} words in {cells} cells"
    if any(arrays[name].shape[1] != descriptor_size(detector) for name in ("words", "cells", "projection")):
        yield f"its words are not as long as descriptors of {detector}"
    offsets, lengths = arrays["cell_offsets"], np.diff(arrays["cell_offsets"])
    if len(offsets) != cells + 1 or offsets[0] != 0 or offsets[-1] != words or (lengths < 0).any():
        yield "its cells do not hold its words"
    if lengths.max() > _MOST_OF_CELL:
        yield f"a cell holds {lengths.max()} words"
    idf = arrays["idf"]
    if len(idf) != words or not ((idf >= 0) & (idf <= _MOST_IDF)).all():
        yield "an idf is missing, or out of range"


def _of_projection(forms: int, projection: NDArray[np.int8]) -> Iterator[str]:
    rows = projection.astype(np.int64)
    if len(rows) != SIGNATURE_BITS or not rows.any(axis=1).all():
        yield f"its projection has not {SIGNATURE_BITS} rows that say something"
    turned = zip(SIFT_PERMUTATIONS, form_signs(projection, forms), strict=True) if forms > 1 else ()
    if any((rows[:, permutation] != rows * signs[:, None]).any() for permutation, signs in turned):
        yield "its projection does not go with mirrored and negative pictures"
