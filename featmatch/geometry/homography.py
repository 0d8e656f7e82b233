"""Tentative matches -> a homography, its inliers, and how unlikely they are by chance."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.maps import Matrix, jacobians, project, turn_at
from featmatch.geometry.matches import GeometryOptions, TentativeMatches, _firsts
from featmatch.geometry.significance import weigh

FEWEST_MATCHES = 3  # matches that agree; two do in any pair of pictures
_KEYPOINT_ERROR = 0.2  # of a keypoint's turn (radians) and growth (as a share)
_ENOUGH_TO_REFINE = 12  # matches for eight unknowns
_BEYOND_DOUBT = 40.0  # a score at which no other hypothesis is tried


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
