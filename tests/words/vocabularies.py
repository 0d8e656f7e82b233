"""Vocabularies of random words, and files of them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.words.signatures import signature_projection
from featmatch.words.vocabulary import Vocabulary

SIZES = {"sift": 128, "orb": 256, "kaze": 64}


def made(detector: str = "sift", words: int = 40, cells: int = 3, seed: int = 1) -> Vocabulary:
    """A vocabulary of random words; no more cells than are probed, so that the nearest words are the true ones."""
    random = np.random.default_rng(seed)
    size = SIZES[detector]
    return Vocabulary(
        detector,
        words=random.integers(0, 256, (words, size)).astype(np.uint8),
        cells=random.integers(0, 256, (cells, size)).astype(np.uint8),
        cell_offsets=np.linspace(0, words, cells + 1).astype(np.int64),
        projection=signature_projection(detector, size, seed),
        idf=random.uniform(0.1, 5, words).astype(np.float32),
        provenance={"made": "by hand", "größe": [1, 2.5, None]},
        probes=12,
    )


def descriptors_for(vocabulary: Vocabulary, count: int, seed: int = 2) -> NDArray[np.uint8]:
    top = 2 if vocabulary.unit == 255 else 256
    return np.random.default_rng(seed).integers(0, top, (count, vocabulary.words.shape[1])).astype(np.uint8)


def written(arrays: dict[str, Any], meta: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)
    return file.getvalue()


def parts_of(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    return arrays, json.loads(arrays.pop("meta").tobytes())
