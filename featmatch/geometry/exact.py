"""Elementary functions and small matrices with the same bits on every machine.

NumPy's and the C library's functions differ in their last bit from one processor to the next (vector units, fused
additions), and so do matrix products and solvers, which BLAS adds up in an order of its own. Here everything is made of
single additions, multiplications, divisions and square roots, in one order: these are exact by IEEE 754. The error is
within a few units of the last place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = "NDArray[np.float64]"
_Numbers: TypeAlias = "NDArray[np.floating] | Sequence[float] | float"

LN2 = 0.6931471805599453
# A quarter turn in three parts, of which multiples below 2**20 are exact (Cody and Waite, 1980).
_QUARTER = (float.fromhex("0x1.921fb544p+0"), float.fromhex("0x1.0b4611a6p-34"), float.fromhex("0x1.3198a2e037073p-69"))
# Taylor series, by powers of the square (but for exp2), the highest last.
_EXP2 = [math.prod([LN2] * power) / math.factorial(power) for power in range(15)]
_SIN = [(-1) ** power / math.factorial(2 * power + 1) for power in range(9)]
_COS = [(-1) ** power / math.factorial(2 * power) for power in range(10)]
_ATAN = [(-1) ** power / (2 * power + 1) for power in range(10)]
_ATANH = [2 / LN2 / (2 * power + 1) for power in range(12)]


def log2(values: _Numbers) -> Array:
    """Logarithm to base 2 of numbers above 0.

    >>> log2([0.25, 8]).tolist()
    [-2.0, 3.0]
    """
    mantissas, exponents = np.frexp(np.asarray(values, np.float64))
    low = mantissas < math.sqrt(0.5)
    mantissas, exponents = np.where(low, 2 * mantissas, mantissas), exponents - low
    s = (mantissas - 1) / (mantissas + 1)
    return np.asarray(exponents + s * _polynomial(_ATANH, s * s))


def exp2(values: _Numbers) -> Array:
    """2 to the power of numbers.

    >>> exp2([-2, 0, 0.5]).round(12).tolist()
    [0.25, 1.0, 1.414213562373]
    """
    exponents = np.asarray(values, np.float64)
    whole = np.rint(exponents)
    return np.asarray(np.ldexp(_polynomial(_EXP2, exponents - whole), whole.astype(np.int32)))


def cos_sin(angles: _Numbers) -> tuple[Array, Array]:
    """Cosine and sine of angles, radians, of at most a million.

    >>> [one.round(15).tolist() for one in cos_sin([0, np.pi / 2])]
    [[1.0, 0.0], [0.0, 1.0]]
    """
    angles = np.asarray(angles, np.float64)
    quarters = np.rint(angles / (math.pi / 2))
    rest = ((angles - quarters * _QUARTER[0]) - quarters * _QUARTER[1]) - quarters * _QUARTER[2]
    square = rest * rest
    cosine, sine = _polynomial(_COS, square), rest * _polynomial(_SIN, square)
    turned = quarters.astype(np.int64) % 4
    is_odd = turned % 2 == 1
    x, y = np.where(is_odd, sine, cosine), np.where(is_odd, cosine, sine)
    return np.where((turned == 1) | (turned == 2), -x, x), np.where(turned >= 2, -y, y)


def arctan2(y: _Numbers, x: _Numbers) -> Array:
    """The angle of (x, y), radians in [-pi, pi]; 0 of (0, 0).

    >>> (arctan2([0, 1, 1], [-1, 0, 1]) / np.pi).round(12).tolist()
    [1.0, 0.5, 0.25]
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    long, short = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    tangent = short / np.where(long > 0, long, 1.0)
    for _ in range(2):  # of half the angle
        tangent = tangent / (1 + np.sqrt(1 + tangent * tangent))
    angle = 4 * (tangent * _polynomial(_ATAN, tangent * tangent))
    angle = np.where(np.abs(y) > np.abs(x), math.pi / 2 - angle, angle)
    return np.copysign(np.where(x < 0, math.pi - angle, angle), y)


def power(base: _Numbers, exponent: int) -> Array:
    """Numbers to the power of a whole number that is not negative.

    >>> power([2, 0.5], 5).tolist()
    [32.0, 0.03125]
    """
    factor = np.asarray(base, np.float64)
    result = np.ones_like(factor)
    while exponent:
        if exponent & 1:
            result = result * factor
        factor, exponent = factor * factor, exponent >> 1
    return result


def product(first: Array, *others: Array) -> Array:
    """The product of small matrices, from left to right.

    >>> product(np.eye(2), np.array([[1.0, 2], [3, 4]]), np.ones((2, 1))).tolist()
    [[3.0], [7.0]]
    """
    for other in others:
        first = np.asarray((first[:, :, None] * other).sum(axis=1))
    return first


def inverse(matrix: Array) -> Array:
    """The inverse of a (3, 3) matrix.

    Raises:
        numpy.linalg.LinAlgError: it has none.

    >>> inverse(np.array([[2.0, 0, 6], [0, 4, 8], [0, 0, 1]])).tolist()
    [[0.5, 0.0, -3.0], [0.0, 0.25, -2.0], [0.0, 0.0, 1.0]]
    """
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    adjugate = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ]
    whole = determinants_of_maps(matrix)
    if whole == 0:
        raise np.linalg.LinAlgError("the matrix has no inverse")
    return np.asarray(np.array(adjugate) / whole + 0.0)  # no zero is negative


def determinants_of_maps(matrices: Array) -> Array:
    """(...) of matrices (..., 3, 3): 0 for just those that ``inverse`` refuses.

    >>> determinants_of_maps(np.array([np.eye(3), np.ones((3, 3)), np.diag([2.0, 3, 4])])).tolist()
    [1.0, 0.0, 24.0]
    """
    (a, b, c), (d, e, f), (g, h, i) = (np.moveaxis(row, -1, 0) for row in np.moveaxis(matrices, -2, 0))
    return np.asarray(a * (e * i - f * h) + b * (f * g - d * i) + c * (d * h - e * g))


def determinants(matrices: Array) -> Array:
    """(N, 2, 2) to (N,).

    >>> determinants(np.array([[[1.0, 2], [3, 4]]])).tolist()
    [-2.0]
    """
    return np.asarray(matrices[:, 0, 0] * matrices[:, 1, 1] - matrices[:, 0, 1] * matrices[:, 1, 0])


def solve(matrix: Array, right: Array) -> Array | None:
    """The solution of normal equations, by elimination without exchanging rows; None where there is none.

    Args:
        matrix: (N, N), symmetric, positive definite.
        right: (N,).

    >>> solve(np.array([[4.0, 2], [2, 3]]), np.array([8.0, 8])).tolist()
    [1.0, 2.0]
    """
    rows = [[*row, value] for row, value in zip(matrix.tolist(), right.tolist(), strict=True)]
    for number, row in enumerate(rows):
        if not row[number] > 0:
            return None
        for other in rows[number + 1 :]:
            factor = other[number] / row[number]
            other[number:] = [value - factor * above for value, above in zip(other[number:], row[number:], strict=True)]
    found: list[float] = []
    for number in range(len(rows) - 1, -1, -1):
        known = zip(rows[number][number + 1 : -1], found, strict=True)
        rest = rows[number][-1]
        for factor, value in known:
            rest -= factor * value
        found.insert(0, rest / rows[number][number])
    return np.array(found)


def _polynomial(coefficients: Sequence[float], x: Array) -> Array:
    found = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        found *= x
        found += coefficient
    return found
