"""The projection that makes 64-bit signatures of descriptors, and how it sees mirrored and negative ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featmatch.features.symmetry import SIFT_PERMUTATIONS, Variant

SIGNATURE_BITS = 64


def forms_of(detector: str) -> int:
    """Forms that each base word of a vocabulary has: 4 where mirror and negative are permutations, else 1.

    >>> forms_of("sift"), forms_of("orb")
    (4, 1)
    """
    return 4 if detector == "sift" else 1


def signature_projection(detector: str, size: int, seed: int) -> NDArray[np.int8]:
    """A random orthonormal projection to 64 rows, in whole numbers (Jegou, Douze and Schmid, ECCV 2008).

    For SIFT, 16 rows are taken from each of the four spaces on which mirror and negative act as +1 or -1, so that
    those edits only flip known bits of a signature.

    Returns:
        (64, size) int8.
    """
    random = np.random.default_rng(seed)
    if detector == "sift":
        blocks = []
        for mirror_sign in (1, -1):
            for negative_sign in (1, -1):
                vectors = random.standard_normal((16, size))
                vectors = vectors + mirror_sign * vectors[:, SIFT_PERMUTATIONS[Variant.MIRRORED]]
                vectors = vectors + negative_sign * vectors[:, SIFT_PERMUTATIONS[Variant.NEGATIVE]]
                blocks.append(_symmetric_orthonormal(vectors))
        rows = np.concatenate(blocks)
    else:
        rows = _symmetric_orthonormal(random.standard_normal((SIGNATURE_BITS, size)))
    return np.asarray(np.rint(rows * (127 / np.abs(rows).max())), np.int8)


def form_signs(projection: NDArray[np.int8], forms: int) -> NDArray[np.float32]:
    """How each row of a projection sees a permuted descriptor: as the plain one (1), or with the sign turned (-1).

    Args:
        projection: (64, D) int8.
        forms: 4 for a closed vocabulary, else 1.

    Returns:
        (forms, 64) float32.
    """
    rows = projection.astype(np.int64)
    permutations = SIFT_PERMUTATIONS[:forms] if forms > 1 else [np.arange(rows.shape[1])]
    return np.stack([np.sign((rows[:, p] * rows).sum(axis=1)) for p in permutations]).astype(np.float32)


def _symmetric_orthonormal(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormalise rows within their span, (V Vt)^-1/2 V; unlike QR, the same under any order of rows."""
    values, basis = np.linalg.eigh(vectors @ vectors.T)
    return np.asarray(basis @ np.diag(values**-0.5) @ basis.T @ vectors)
