"""Tentative matches -> a homography, its inliers, and how unlikely they are by chance."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_options
from featmatch.errors import UsageError
from featmatch.significance import weigh

Matrix = NDArray[np.float64]

FEWEST_MATCHES = 3  # matches that agree; two do in any pair of pictures
_KEYPOINT_ERROR = 0.2  # of a keypoint's turn (radians) and growth (as a share)
_ENOUGH_TO_REFINE = 12  # matches for eight unknowns
_BEYOND_DOUBT = 40.0  # a score at which no other hypothesis is tried


@dataclass(frozen=True)
class GeometryOptions:
    """What counts as agreement between two pictures."""

    tolerance: float = 0.006  # an inlier lies this near, as a part of the reference's longer side; 0.001 to 0.1
    angle_deg: float = 30.0  # and its keypoint is turned as the others are, within this; 1 to 180
    octaves: float = 1.0  # and scaled as the others are, within this; 0.1 to 5
    hypotheses: int = 100  # single matches that are tried, the surest first; at least 1
    grid: int = 20  # cells along the longer side in which several inliers count as one; 2 to 200

    def __post_init__(self) -> None:
        check_options(self)
        if not (
            0.001 <= self.tolerance <= 0.1
            and 1 <= self.angle_deg <= 180
            and 0.1 <= self.octaves <= 5
            and self.hypotheses >= 1
            and 2 <= self.grid <= 200
        ):
            raise UsageError(f"geometry options out of range: {self}")


@dataclass(frozen=True)
class TentativeMatches:
    """Pairs of a query feature and a reference feature that look alike; columns of N rows, the surest first.

    Attributes:
        query: (N, 2) float64, px.
        reference: (N, 2) float64, px.
        rotation: (N,) float64, radians by which the keypoint's angle grows from query to reference.
        octaves: (N,) float64, log2 of the keypoint's growth from query to reference.
        costs: (N,) float64, the lower, the more alike.
        query_rows: (N,) int, number of the feature in the query.
        reference_rows: (N,) int, number of the feature in the reference.
        rivals: (N,) int64, how many matches there were of the feature of either picture, of the one with more, where
            these are not all that were found; None: these are all.
    """

    query: NDArray[np.float64]
    reference: NDArray[np.float64]
    rotation: NDArray[np.float64]
    octaves: NDArray[np.float64]
    costs: NDArray[np.float64]
    query_rows: NDArray[np.int64]
    reference_rows: NDArray[np.int64]
    rivals: NDArray[np.int64] | None = None

    @classmethod
    def between(
        cls,
        query: NDArray[np.floating],
        query_angles: NDArray[np.floating],
        query_octaves: NDArray[np.floating],
        reference: NDArray[np.floating],
        reference_angles: NDArray[np.floating],
        reference_octaves: NDArray[np.floating],
        *,
        costs: NDArray[np.float64],
        query_rows: NDArray[np.integer],
        reference_rows: NDArray[np.integer],
        rivals: NDArray[np.int64] | None = None,
    ) -> TentativeMatches:
        """Pair up features given row by row; the caller brings the surest first."""
        return cls(
            np.asarray(query, np.float64),
            np.asarray(reference, np.float64),
            np.asarray(reference_angles - query_angles, np.float64),
            np.asarray(reference_octaves - query_octaves, np.float64),
            costs,
            np.asarray(query_rows, np.int64),
            np.asarray(reference_rows, np.int64),
            rivals,
        )

    def __len__(self) -> int:
        return len(self.query)

    def __getitem__(self, rows: slice | NDArray[Any]) -> TentativeMatches:
        return TentativeMatches(
            self.query[rows], self.reference[rows], self.rotation[rows], self.octaves[rows],
            self.costs[rows], self.query_rows[rows], self.reference_rows[rows],
            None if self.rivals is None else self.rivals[rows],
        )  # fmt: skip


@dataclass(frozen=True)
class Fit:
    """A homography and what speaks for it.

    Attributes:
        reference_from_query: (3, 3) float64.
        inliers: rows of the tentative matches that agree, one for each feature of either picture.
        effective: these, as ``significance.Weight`` has them.
        clarity: likewise.
        score: likewise.
    """

    reference_from_query: Matrix
    inliers: NDArray[np.intp]
    effective: int
    clarity: float
    score: float


def fit_homography(
    matches: TentativeMatches, query_size: tuple[int, int], reference_size: tuple[int, int], options: GeometryOptions
) -> Fit | None:
    """Find the homography that most tentative matches agree on.

    Every match proposes a similarity by itself, since keypoints carry scale and angle. The best of those grow, by least
    squares, to affine maps, and where there are inliers enough to a homography (MAGSAC++: Barath et al., CVPR 2020).

    Args:
        matches: pairs of features.
        query_size: width and height, px.
        reference_size: width and height, px.
        options: the tolerances.

    Returns:
        The fit, or None where fewer than three matches agree or the map is degenerate. Nothing is random.
    """
    if len(matches) < FEWEST_MATCHES:
        return None
    tolerance = options.tolerance * max(reference_size)
    best: Fit | None = None
    for rows in _similar(matches, tolerance, options):
        for model in _models(matches, rows, tolerance):
            if not _is_sane(model, matches.query[rows]):
                continue
            fit = _judged(model, matches, query_size, reference_size, tolerance, options)
            if fit is not None and (best is None or fit.score > best.score):
                best = fit
        if best is not None and best.score > _BEYOND_DOUBT:
            break
    return best and _refined(best, matches, 0.6 * tolerance)


def project(matrix: Matrix, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map (N, 2) points by a (3, 3) homography to (N, 2) float64; what goes to infinity is NaN."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(mapped[:, 2:] > 1e-9, mapped[:, :2] / mapped[:, 2:], np.nan))


def _similar(matches: TentativeMatches, tolerance: float, options: GeometryOptions) -> list[NDArray[np.intp]]:
    """Sets of matches that agree with the similarity of one of them.

    The largest that agree loosely, unlike one another, and the largest that agrees more closely: in a repeated pattern
    much agrees loosely with anything.
    """
    query, reference = matches.query @ [1, 1j], matches.reference @ [1, 1j]
    seeds = slice(0, options.hypotheses)
    turn = np.exp2(matches.octaves) * np.exp(1j * matches.rotation)
    shift = reference - turn * query
    residual = np.abs(turn[seeds, None] * query + shift[seeds, None] - reference)
    # One keypoint knows its scale and angle roughly, and nothing of stretching: errors grow with the distance from it.
    distance = np.abs(reference - reference[seeds, None])
    agree = residual <= 2 * tolerance + 0.35 * distance
    rows, columns = np.nonzero(agree)  # few: of these alone the angles are looked at, which takes longer
    turns, growths = (of[columns] - of[rows] for of in (matches.rotation, matches.octaves))
    agree[rows, columns] = _turned_alike(turns, growths, options)
    closely = agree & (residual <= 2 * tolerance + 0.1 * distance)
    sets = []
    weights = agree.sum(axis=1)
    for _ in range(3):
        seed = int(weights.argmax())
        if weights[seed] < FEWEST_MATCHES:
            break
        sets.append(np.flatnonzero(agree[seed]))
        weights = np.where(agree[:, sets[-1]].sum(axis=1) > weights / 2, 0, weights)
    closest = closely[closely.sum(axis=1).argmax()]
    if closest.sum() >= FEWEST_MATCHES:
        sets.append(np.flatnonzero(closest))
    return sets


def _turned_alike(
    turns: NDArray[np.float64], growths: NDArray[np.float64], options: GeometryOptions
) -> NDArray[np.bool_]:
    """Whether two keypoints are turned and scaled alike, by their differences: radians and octaves."""
    turned = np.cos(turns) >= np.cos(np.radians(options.angle_deg))
    return np.asarray(turned & (np.abs(growths) <= options.octaves))


def _models(matches: TentativeMatches, rows: NDArray[np.intp], tolerance: float) -> list[Matrix]:
    """An affine map grown from loosely agreeing matches, and where they are enough a homography."""
    query, reference = matches.query[rows], matches.reference[rows]
    turns = np.exp2(matches.octaves[rows]) * np.exp(1j * matches.rotation[rows])
    model = _affine(query, reference, turns, tolerance)
    inside = np.ones(len(rows), bool)
    for factor in (6.0, 4.0, 2.0, 1.5, 1.0, 1.0):
        errors = np.linalg.norm(project(model, query) - reference, axis=1)
        inside = errors <= factor * tolerance
        if inside.sum() < FEWEST_MATCHES:
            inside = np.zeros(len(rows), bool)
            inside[np.argsort(errors, kind="stable")[:FEWEST_MATCHES]] = True
        model = _affine(query[inside], reference[inside], turns[inside], tolerance)
    models = [model]
    if inside.sum() >= 8:
        wide = np.linalg.norm(project(model, query) - reference, axis=1) <= 10 * tolerance
        homography = _magsac(query[wide], reference[wide], tolerance)
        if homography is not None:
            models.append(homography)
    return models


def _affine(
    query: NDArray[np.float64], reference: NDArray[np.float64], turns: NDArray[np.complex128], tolerance: float
) -> Matrix:
    """Least squares affine map, in which the turn and growth of each keypoint have a say, by how rough they are.

    Where the points fix the map well the keypoints' say is nothing; a few points close together lean on it.
    """
    centre = query.mean(axis=0)
    centred = query - centre
    turn = turns.mean()
    # Variance of a position over that of a keypoint's turn and growth: what one keypoint's say is worth, in px squared.
    weight = len(query) * (tolerance / 2 / (_KEYPOINT_ERROR * np.abs(turns).mean())) ** 2
    expected = weight * np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    # Normal equations of two unknowns an axis: quick, and well conditioned about the mean.
    spread_of_query = centred.T @ centred + weight * np.eye(2)
    matrix = np.eye(3)
    matrix[:2, :2] = np.linalg.solve(spread_of_query, (reference.T @ centred + expected).T).T
    matrix[:2, 2] = reference.mean(axis=0) - matrix[:2, :2] @ centre
    return matrix


def _magsac(query: NDArray[np.float64], reference: NDArray[np.float64], tolerance: float) -> Matrix | None:
    """OpenCV's USAC with MAGSAC++ scoring and local optimisation, seeded."""
    parameters = cv2.UsacParams()
    parameters.score = cv2.SCORE_METHOD_MAGSAC
    parameters.loMethod = cv2.LOCAL_OPTIM_SIGMA
    parameters.sampler = cv2.SAMPLING_UNIFORM
    parameters.threshold = tolerance
    parameters.maxIterations = 1000
    parameters.confidence = 0.999
    parameters.randomGeneratorState = 0
    parameters.isParallel = False
    try:
        matrix, _ = cv2.findHomography(query, reference, parameters)
    except cv2.error:  # it fails on some degenerate sets
        return None
    if matrix is None or not np.isfinite(matrix).all() or abs(matrix[2, 2]) < 1e-12:
        return None
    return np.asarray(matrix / matrix[2, 2], np.float64)


def _refined(fit: Fit, matches: TentativeMatches, tolerance: float) -> Fit:
    """Where inliers are many, least squares over those within their own scatter, again and again; the claim stays."""
    matrix = fit.reference_from_query
    for _ in range(6):
        errors = np.linalg.norm(project(matrix, matches.query) - matches.reference, axis=1)
        near = errors < tolerance
        if near.sum() < _ENOUGH_TO_REFINE:
            break
        scatter = 1.4826 * np.median(errors[near])  # of a normal distribution with this median
        near &= errors < max(2.5 * scatter, 0.1 * tolerance)
        if near.sum() < _ENOUGH_TO_REFINE:
            break
        found, _ = cv2.findHomography(matches.query[near], matches.reference[near], 0)
        if found is None or not np.isfinite(found).all() or not _is_sane(found, matches.query[fit.inliers]):
            break
        matrix = np.asarray(found, np.float64)
    return dataclasses.replace(fit, reference_from_query=matrix)


def _is_sane(matrix: Matrix, support: NDArray[np.float64]) -> bool:
    """Whether a map could be one picture seen in another: not folded, not mirrored, not absurdly scaled or sheared."""
    centre = support.mean(axis=0)
    corners = np.array([support.min(axis=0), support.max(axis=0)])
    points = np.vstack([centre, corners, [corners[0, 0], corners[1, 1]], [corners[1, 0], corners[0, 1]]])
    depth = points @ matrix[2, :2] + matrix[2, 2]
    if depth.min() <= 0 or depth.max() > 4 * depth.min():
        return False
    # Singular values a >= b of a Jacobian: a b is its determinant, a^2 + b^2 the sum of its squares; a <= 4 b wanted.
    turns = jacobians(matrix, points)
    determinants = turns[:, 0, 0] * turns[:, 1, 1] - turns[:, 0, 1] * turns[:, 1, 0]
    squares = (turns**2).sum(axis=(1, 2))
    sheared = squares > (4 + 1 / 4) * determinants
    return not (sheared.any() or determinants.min() <= 1 / 40**2 or determinants.max() >= 40**2)


def _judged(
    matrix: Matrix,
    matches: TentativeMatches,
    query_size: tuple[int, int],
    reference_size: tuple[int, int],
    tolerance: float,
    options: GeometryOptions,
) -> Fit | None:
    """Count who agrees with a map, and weigh that against chance."""
    errors = np.linalg.norm(project(matrix, matches.query) - matches.reference, axis=1)
    close = np.flatnonzero(errors <= tolerance)
    if len(close) < FEWEST_MATCHES:
        return None
    rotation, octaves = turn_at(matrix, matches.query[close].mean(axis=0))
    close = close[_turned_alike(matches.rotation[close] - rotation, matches.octaves[close] - octaves, options)]
    close = close[np.argsort(errors[close], kind="stable")]
    close = close[_firsts(matches.query_rows[close])]
    inliers = np.sort(close[_firsts(matches.reference_rows[close])])
    if len(inliers) < FEWEST_MATCHES:
        return None
    return Fit(matrix, inliers, *weigh(matches, inliers, query_size, reference_size, options))


def turn_at(matrix: Matrix, point: NDArray[np.float64]) -> tuple[float, float]:
    """Rotation (radians) and growth (octaves) of a map at a point."""
    jacobian = jacobians(matrix, point[None])[0]
    rotation = np.arctan2(jacobian[1, 0] - jacobian[0, 1], jacobian[0, 0] + jacobian[1, 1])
    return float(rotation), float(np.log2(max(np.linalg.det(jacobian), 1e-12)) / 2)


def jacobians(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2, 2): how a map acts close to each of (N, 2) points."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    depths = mapped[:, 2, None]
    outer = (mapped[:, :2] / depths)[:, :, None] * matrix[2, :2]
    return np.asarray((matrix[:2, :2] - outer) / depths[:, :, None])


def _firsts(values: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each distinct value stands first, in order."""
    return np.sort(np.unique(values, return_index=True)[1])
