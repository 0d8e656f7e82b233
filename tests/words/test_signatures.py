from __future__ import annotations

import numpy as np
import pytest

from featmatch.features.symmetry import SIFT_PERMUTATIONS, Variant
from featmatch.words.signatures import SIGNATURE_BITS, form_signs, forms_of, signature_projection


@pytest.mark.parametrize(("detector", "size"), [("sift", 128), ("akaze", 488), ("orb", 256), ("kaze", 64)])
def test_projection_has_orthonormal_rows_but_for_rounding(detector: str, size: int) -> None:
    projection = signature_projection(detector, size, seed=1)
    assert projection.shape == (SIGNATURE_BITS, size)
    assert projection.dtype == np.int8
    rows = projection.astype(float)
    products = rows @ rows.T
    length = np.diag(products).mean()
    assert np.abs(products / length - np.eye(64)).max() < 0.03
    assert np.abs(projection).max() == 127


@pytest.mark.parametrize("seed", range(20))
def test_sift_projection_rows_are_exact_eigenvectors_of_the_permutations(seed: int) -> None:
    rows = signature_projection("sift", 128, seed).astype(int)
    for number, row in enumerate(rows):
        mirror_sign, negative_sign = ((1, 1), (1, -1), (-1, 1), (-1, -1))[number // 16]
        assert np.array_equal(row[SIFT_PERMUTATIONS[Variant.MIRRORED]], mirror_sign * row)
        assert np.array_equal(row[SIFT_PERMUTATIONS[Variant.NEGATIVE]], negative_sign * row)


def test_projection_is_seeded() -> None:
    assert np.array_equal(signature_projection("sift", 128, 1), signature_projection("sift", 128, 1))
    assert not np.array_equal(signature_projection("sift", 128, 1), signature_projection("sift", 128, 2))
    assert not np.array_equal(signature_projection("orb", 256, 1), signature_projection("orb", 256, 2))


def test_form_signs_say_how_rows_see_permuted_descriptors() -> None:
    projection = signature_projection("sift", 128, 3)
    descriptor = np.random.default_rng(4).integers(0, 256, 128)
    signs = form_signs(projection, 4)
    assert signs.dtype == np.float32
    for form, permutation in enumerate(SIFT_PERMUTATIONS):
        seen = projection.astype(int) @ descriptor[permutation]
        assert np.array_equal(seen, signs[form] * (projection.astype(int) @ descriptor))


def test_the_one_form_of_other_detectors_is_seen_as_it_is() -> None:
    assert form_signs(signature_projection("orb", 256, 3), 1).tolist() == [[1] * SIGNATURE_BITS]


def test_only_sift_has_forms() -> None:
    assert {detector: forms_of(detector) for detector in ("sift", "akaze", "orb", "brisk", "kaze")} == {
        "sift": 4, "akaze": 1, "orb": 1, "brisk": 1, "kaze": 1,
    }  # fmt: skip
