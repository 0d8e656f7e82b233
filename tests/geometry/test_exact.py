from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.geometry.exact import arctan2, cos_sin, determinants, exp2, inverse, log2, power, product, solve

Array = NDArray[np.float64]

RANDOM = np.random.default_rng(0)
WIDE = 2.0 ** RANDOM.uniform(-300, 300, 2000)
NEAR_ONE = 1 + RANDOM.uniform(-1e-3, 1e-3, 500)
ANGLES = np.concatenate([RANDOM.uniform(-60, 60, 2000), np.arange(-16, 17) * np.pi / 4, RANDOM.uniform(-1e6, 1e6, 200)])
X, Y = RANDOM.normal(size=(2, 2000)) * np.exp2(RANDOM.uniform(-20, 20, 2000))

CASES: dict[str, tuple[Array, Array]] = {
    "log2": (log2(WIDE), np.log2(WIDE)),
    "log2 near 1": (log2(NEAR_ONE), np.log2(NEAR_ONE)),
    "exp2": (exp2(RANDOM_EXPONENTS := RANDOM.uniform(-80, 80, 2000)), np.exp2(RANDOM_EXPONENTS)),
    "cos": (cos_sin(ANGLES)[0], np.cos(ANGLES)),
    "sin": (cos_sin(ANGLES)[1], np.sin(ANGLES)),
    "arctan2": (arctan2(Y, X), np.arctan2(Y, X)),
    "power": (power(NEAR_ONE, 1000), NEAR_ONE**1000),
}


@pytest.mark.parametrize(("found", "expected"), CASES.values(), ids=CASES)
def test_functions_are_right_to_a_few_units_of_the_last_place(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=2e-13 if found is CASES["power"][0] else 1.5e-15, atol=2e-16)


def test_a_logarithm_loses_nothing_next_to_one() -> None:
    assert log2(1 + 2.0**-52) == pytest.approx(2.0**-52 / np.log(2), rel=1e-12)
    assert log2([1, 2, 0.25, 2.0**-1022]).tolist() == [0, 1, -2, -1022]


def test_powers_of_two_are_exact() -> None:
    assert exp2(np.arange(-1000.0, 1000)).tolist() == [2.0**whole for whole in range(-1000, 1000)]


@pytest.mark.parametrize(("y", "x"), [(0, 1), (0, -1), (-0.0, -1), (1, 0), (-1, 0), (0, 0), (-2, -2), (1e-300, 1)])
def test_arctan2_at_the_axes(y: float, x: float) -> None:
    assert arctan2(y, x) == pytest.approx(np.arctan2(y, x), rel=1e-15, abs=0)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 10, 31])
def test_powers_are_products(exponent: int) -> None:
    assert power([2, -3], exponent).tolist() == [2**exponent, (-3) ** exponent]


def test_matrices_are_those_of_numpy() -> None:
    one, other, third = RANDOM.normal(size=(3, 3, 3))
    np.testing.assert_allclose(product(one, other, third), one @ other @ third, atol=1e-14)
    np.testing.assert_allclose(product(one, inverse(one)), np.eye(3), atol=1e-13)
    np.testing.assert_allclose(inverse(one), np.linalg.inv(one), rtol=1e-12)
    pairs = RANDOM.normal(size=(7, 2, 2))
    np.testing.assert_allclose(determinants(pairs), np.linalg.det(pairs), rtol=1e-12)
    rows = RANDOM.normal(size=(20, 8))
    matrix, right = rows.T @ rows, RANDOM.normal(size=8)
    found = solve(matrix, right)
    assert found is not None
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-10)


def test_a_matrix_without_inverse_is_told() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        inverse(np.ones((3, 3)))
    assert solve(np.ones((2, 2)), np.ones(2)) is None
    assert solve(np.full((2, 2), np.nan), np.ones(2)) is None


# The digests were taken on x86-64 with AVX-512; any other machine, and any build of NumPy, must give the same.
GIVEN: Array = np.arange(1.0, 4001) ** 2 * 0.6180339887498949 % 1


@pytest.mark.parametrize(
    ("function", "digest"),
    [
        (log2, "8cd57c02ef12f004"),
        (lambda x: exp2(20 * x - 10), "6ad6d2adb328bb59"),
        (lambda x: np.stack(cos_sin(40 * x - 20)), "dddfd25681819ce7"),
        (lambda x: arctan2(x[1:] - 0.5, x[:-1] - 0.5), "9e1fd454a5ba2eb0"),
        (lambda x: product(*x[:3996].reshape(-1, 3, 3)[:9]), "805d6e1d0072038b"),
        (lambda x: np.stack([inverse(one) for one in x[:3600].reshape(-1, 3, 3)]), "dcf2c1c298a5726b"),
    ],
    ids=["log2", "exp2", "cos_sin", "arctan2", "product", "inverse"],
)
def test_the_bits_are_the_same_everywhere(function: Callable[[Array], Array], digest: str) -> None:
    assert hashlib.sha256(function(GIVEN).tobytes()).hexdigest()[:16] == digest
