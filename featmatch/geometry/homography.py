"""Tentative matches -> a homography, its inliers, and how unlikely they are by chance."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.maps import Matrix, jacobians, project, turn_at
from featmatch.geometry.matches import GeometryOptions, TentativeMatches
from featmatch.geometry.significance import weigh

FEWEST_MATCHES = 3  # that must agree: two always agree on some similarity
_KEYPOINT_ERROR = 0.2  # standard deviation of a keypoint's rotation (radians) and of its scale (as a share)
_ENOUGH_TO_REFINE = 12  # matches for eight unknowns
_BEYOND_DOUBT = 40.0  # a score above which no further set of matches is tried
_MOST_SHEAR = 4.0  # longer over shorter axis of the ellipse that a map makes of a small circle
_MOST_GROWTH = 40.0  # of lengths, either way
_MOST_DEPTH = 4.0  # largest over smallest depth of the matched region, seen in perspective


@dataclass(frozen=True)
class Fit:
    """A homography and what speaks for it.

    Attributes:
        reference_from_query: (3, 3) float64, px to px.
        inliers: (N,) rows of the tentative matches that agree, sorted; no feature of either picture is in two of them.
        effective: number of inliers, see ``significance.Significance``.
        clarity: of the inliers, likewise.
        score: of the inliers, likewise.
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

    Every match proposes a similarity by itself, since keypoints carry scale and angle. Least squares turns the best of
    these into affine maps and, where inliers are enough, MAGSAC++ into homographies (Barath et al., CVPR 2020).

    Args:
        matches: pairs of features, the surest first.
        query_size: width and height, px.
        reference_size: width and height, px.
        options: the tolerances.

    Returns:
        The fit, or None where fewer than three matches agree or the map is degenerate. Nothing is random.

    >>> from featmatch.geometry.matches import Keypoints
    >>> places = np.random.default_rng(0).uniform(0, 500, (50, 2))
    >>> query = Keypoints(places, np.zeros(50), np.zeros(50))
    >>> reference = Keypoints(2 * places + [30, 40], np.zeros(50), np.ones(50))
    >>> rows = np.arange(50)
    >>> matches = TentativeMatches.between(query, reference, costs=np.zeros(50), query_rows=rows, reference_rows=rows)
    >>> fit = fit_homography(matches, (500, 500), (1200, 1200), GeometryOptions())
    >>> len(fit.inliers), project(fit.reference_from_query, np.array([[100.0, 200.0]])).round(3).tolist()
    (50, [[230.0, 440.0]])
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
    """Sets of matches, each of those that agree with the similarity of one match; rows, sorted.

    Up to three large sets of loose agreement, no two of which share most of their matches, and the largest set of close
    agreement: in a repeated pattern many matches agree loosely with any map.
    """
    query, reference = matches.query @ [1, 1j], matches.reference @ [1, 1j]
    seeds = slice(0, options.hypotheses)
    turn = np.exp2(matches.octaves) * np.exp(1j * matches.rotation)
    shift = reference - turn * query
    residual = np.abs(turn[seeds, None] * query + shift[seeds, None] - reference)
    # A keypoint's scale and angle are rough, and it does not tell of stretching: errors grow with the distance from it.
    distance = np.abs(reference - reference[seeds, None])
    agree = residual <= 2 * tolerance + 0.35 * distance
    rows, columns = np.nonzero(agree)  # few: comparing angles is slow, so only theirs are compared
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
    """Whether differences in rotation (radians) and scale (octaves) are within the tolerances."""
    turned = np.cos(turns) >= np.cos(np.radians(options.angle_deg))
    return np.asarray(turned & (np.abs(growths) <= options.octaves))


def _models(matches: TentativeMatches, rows: NDArray[np.intp], tolerance: float) -> list[Matrix]:
    """An affine map through those of the matches that it brings close, and a homography where these are enough."""
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
    """Affine map by least squares of positions and, weighted by how rough they are, of keypoints' rotation and scale.

    Points far apart fix the map by themselves; a few that lie close together need their rotation and scale as well.

    Args:
        query: (N, 2), px.
        reference: (N, 2), px.
        turns: (N,), rotation and scale of each match as one complex number.
        tolerance: px.
    """
    centre = query.mean(axis=0)
    centred = query - centre
    turn = turns.mean()
    # Variance of positions (tolerance / 2, squared) over that of rotation and scale, px squared.
    weight = len(query) * (tolerance / 2 / (_KEYPOINT_ERROR * np.abs(turns).mean())) ** 2
    expected = weight * np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    # Normal equations with two unknowns for each axis: quick, and well conditioned about the mean.
    spread_of_query = centred.T @ centred + weight * np.eye(2)
    matrix = np.eye(3)
    matrix[:2, :2] = np.linalg.solve(spread_of_query, (reference.T @ centred + expected).T).T
    matrix[:2, 2] = reference.mean(axis=0) - matrix[:2, :2] @ centre
    return matrix


def _magsac(query: NDArray[np.float64], reference: NDArray[np.float64], tolerance: float) -> Matrix | None:
    """Homography by OpenCV's USAC with MAGSAC++ scoring and local optimisation, seeded; None where it finds none."""
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
    """The fit with a more precise map: where inliers are many, least squares of those within their own scatter.

    Inliers and score stay as they were judged.
    """
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
    """Whether a map could show one picture in another: not folded, mirrored, or absurdly scaled or sheared.

    It is tested at the centre of the matched points, (N, 2) px of the query, and at the corners of their bounding box.
    """
    centre = support.mean(axis=0)
    corners = np.array([support.min(axis=0), support.max(axis=0)])
    points = np.vstack([centre, corners, [corners[0, 0], corners[1, 1]], [corners[1, 0], corners[0, 1]]])
    depth = points @ matrix[2, :2] + matrix[2, 2]
    if depth.min() <= 0 or depth.max() > _MOST_DEPTH * depth.min():
        return False
    # Singular values a >= b of a Jacobian: a b is its determinant, a^2 + b^2 the sum of its squares, so that
    # a / b <= 4 where (a^2 + b^2) / (a b) <= 4 + 1/4.
    turns = jacobians(matrix, points)
    determinants = turns[:, 0, 0] * turns[:, 1, 1] - turns[:, 0, 1] * turns[:, 1, 0]
    squares = (turns**2).sum(axis=(1, 2))
    sheared = squares > (_MOST_SHEAR + 1 / _MOST_SHEAR) * determinants
    too_small, too_large = determinants.min() <= 1 / _MOST_GROWTH**2, determinants.max() >= _MOST_GROWTH**2
    return not (sheared.any() or too_small or too_large)


def _judged(
    matrix: Matrix,
    matches: TentativeMatches,
    query_size: tuple[int, int],
    reference_size: tuple[int, int],
    tolerance: float,
    options: GeometryOptions,
) -> Fit | None:
    """The matches that agree with a map, each feature's best one, weighed against chance; None if under three."""
    errors = np.linalg.norm(project(matrix, matches.query) - matches.reference, axis=1)
    close = np.flatnonzero(errors <= tolerance)
    if len(close) < FEWEST_MATCHES:
        return None
    rotation, octaves = turn_at(matrix, matches.query[close].mean(axis=0))
    close = close[_turned_alike(matches.rotation[close] - rotation, matches.octaves[close] - octaves, options)]
    close = close[np.argsort(errors[close], kind="stable")]
    close = close[_first_rows(matches.query_rows[close])]
    inliers = np.sort(close[_first_rows(matches.reference_rows[close])])
    if len(inliers) < FEWEST_MATCHES:
        return None
    return Fit(matrix, inliers, *weigh(matches, inliers, query_size, reference_size, options))


def _first_rows(values: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each distinct value stands first, in order."""
    return np.sort(np.unique(values, return_index=True)[1])
