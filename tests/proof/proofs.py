"""Proofs of maps that the test chooses, and ways to make such maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featmatch.features.extraction import Features
from featmatch.features.symmetry import Variant
from featmatch.geometry.homography import Fit
from featmatch.geometry.maps import Matrix
from featmatch.geometry.matches import TentativeMatches
from featmatch.proof.proof import Proof, proof_of_fit
from tests.geometry.known_maps import mapped, shift


def area(polygon: NDArray[np.float64]) -> float:
    x, y = polygon.T
    return float(abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2)


def turn(degrees: float) -> Matrix:
    """By which angles grow, from +x towards +y."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def zoom(factor: float) -> Matrix:
    """Resizing: pixel edges stay edges, so there is a half-pixel shift."""
    return np.array([[factor, 0, factor / 2 - 0.5], [0, factor, factor / 2 - 0.5], [0, 0, 1]])


def about(centre_to: tuple[float, float], matrix: Matrix, centre_from: tuple[float, float]) -> Matrix:
    return shift(*centre_to) @ matrix @ shift(-centre_from[0], -centre_from[1])


def made_proof(
    reference_from_seen: Matrix,
    query_size: tuple[int, int],
    reference_size: tuple[int, int],
    variant: Variant = Variant.PLAIN,
    score: float = 50.0,
) -> Proof:
    """The proof of a query that was looked at in a variant, with inliers all over it."""
    random = np.random.default_rng(0)
    query = random.uniform(0, [query_size[0] - 1, query_size[1] - 1], (20, 2))
    nothing = np.zeros(20)
    rows = np.arange(20)
    matches = TentativeMatches(query, mapped(reference_from_seen, query), nothing, nothing, nothing, rows, rows)
    fit = Fit(reference_from_seen, rows, 20, 1.0, score)
    plain = query.copy()
    if variant.mirrored:
        plain[:, 0] = query_size[0] - 1 - plain[:, 0]
    none, descriptors = np.zeros(20, np.float32), np.zeros((20, 128), np.uint8)
    features = Features("sift", *query_size, plain.astype(np.float32), none, none, descriptors)
    return proof_of_fit(fit, matches, variant, features, reference_size)
