"""Tentative matches -> a homography, its inliers, and how unlikely they are by chance."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import cos_sin, determinants, exp2, inverse, product, solve
from featmatch.geometry.maps import Matrix, jacobians, project
from featmatch.geometry.matches import GeometryOptions, TentativeMatches
from featmatch.geometry.pairs import agreement_with_pairs
from featmatch.geometry.significance import distinct, fewest_inliers, weigh
from featmatch.native import similar as kernel

FEWEST_MATCHES = 3  # that must agree: two always agree on some similarity
_KEYPOINT_ERROR = 0.2  # standard deviation of a keypoint's rotation (radians) and of its scale (as a share)
# A keypoint's scale and angle are rough, and it does not tell of stretching: errors grow with the distance from it.
_LOOSE, _CLOSE = 0.35, 0.1
_ENOUGH_TO_REFINE = 12  # matches for eight unknowns
_ROW_BITS = 40  # of a feature's number in a joint one; the pair's number takes the bits above
_STEPS = 10  # of least squares; two or three do
_LAST_STEP = 1e-9  # of the entries of a map between pictures of unit size
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
    matches: TentativeMatches,
    query_size: tuple[int, int],
    reference_size: tuple[int, int],
    options: GeometryOptions,
    least: float = -math.inf,
) -> Fit | None:
    """Find the homography that most tentative matches agree on.

    Every match proposes a similarity by itself, since keypoints carry scale and angle; where they do not, every two of
    them do (``GeometryOptions.seeds``). Least squares turns the best of these into affine maps and, where inliers are
    enough, MAGSAC++ into homographies (Barath et al., CVPR 2020).

    Args:
        matches: pairs of features, the surest first.
        query_size: width and height, px.
        reference_size: width and height, px.
        options: the tolerances.
        least: score below which no fit is wanted. Then a similarity that one match proposes must have as many matches
            about it as the score takes; else nothing is fitted. Hardly any fit is lost so, and of little score.

    Returns:
        The fit, or None where fewer than three matches agree, its score is below ``least``, or the map is degenerate.
        Nothing is random.

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
    enough = FEWEST_MATCHES
    if least > -math.inf:
        enough = _enough(len(distinct(matches.query_rows)), least, reference_size, options)
    if enough > len(matches):
        return None
    best: Fit | None = None
    for turned, rows in _proposed(matches, tolerance, options, enough):
        for model in _models(turned, rows, tolerance):
            inliers = _inliers(model, turned, tolerance, options)
            if len(inliers) < enough or not _is_sane(model, matches.query[rows]):
                continue
            fit = Fit(model, inliers, *weigh(turned, inliers, query_size, reference_size, options))
            if fit.score >= least and (best is None or fit.score > best.score):
                best = fit
        if best is not None and best.score > _BEYOND_DOUBT:
            break
    return best and _refined(best, matches, 0.6 * tolerance)


def may_fit(
    matches: TentativeMatches,
    ends: NDArray[np.int64],
    reference_sizes: Sequence[tuple[int, int]],
    options: GeometryOptions,
    least: float = -math.inf,
) -> NDArray[np.bool_]:
    """Tell at once of many pairs of pictures which may have a fit; most that have none are told.

    Args:
        matches: of all pairs, those of each side by side, the surest first.
        ends: (P + 1,) int64, the matches of pair p are the rows ``ends[p]`` up to ``ends[p + 1]``.
        reference_sizes: of each, width and height, px.
        options: as for ``fit_homography``.
        least: likewise.

    Returns:
        (P,) bool; where it is false, ``fit_homography`` finds nothing.
    """
    if options.seeds != 1:
        return np.ones(len(reference_sizes), bool)
    enough = [FEWEST_MATCHES] * len(reference_sizes)
    if least > -math.inf:
        pair = np.repeat(np.arange(len(enough)), np.diff(ends))
        features = distinct(pair << _ROW_BITS | matches.query_rows) >> _ROW_BITS
        tentative = np.bincount(features, minlength=len(enough)).tolist()
        enough = [_enough(count, least, size, options) for count, size in zip(tentative, reference_sizes, strict=True)]
    tolerances = [options.tolerance * max(size) for size in reference_sizes]
    return kernel.may_fit(
        (matches.query, matches.reference, matches.turns), ends, np.array(tolerances, np.float64),
        np.array(enough, np.int64), options.hypotheses,
        kernel.FitLimits(_LOOSE, _CLOSE, *_bounds(options), _KEYPOINT_ERROR),
    )  # fmt: skip


def _enough(tentative: int, least: float, reference_size: tuple[int, int], options: GeometryOptions) -> int:
    """How many matches must agree at least, so that the score may be ``least``."""
    return max(FEWEST_MATCHES, fewest_inliers(tentative, least, reference_size, options))


def _proposed(
    matches: TentativeMatches, tolerance: float, options: GeometryOptions, enough: int
) -> list[tuple[TentativeMatches, NDArray[np.intp]]]:
    """Sets of matches that agree with one similarity: all matches, and the rows of a set, sorted.

    Where two matches propose it, all are given its rotation and scale. None if no set has ``enough`` matches.
    """
    if options.seeds == 1:
        return [(matches, rows) for _, rows in _similar(matches, tolerance, options, enough)]
    agreement = agreement_with_pairs(matches, tolerance, options.hypotheses)
    sets = _largest(agreement.loosely, agreement.closely, enough) if len(agreement.turns) else []
    return [(matches.turned_by(agreement.turns[seed]), rows) for seed, rows in sets]


def _similar(
    matches: TentativeMatches, tolerance: float, options: GeometryOptions, enough: int
) -> list[tuple[int, NDArray[np.intp]]]:
    """Sets of matches, each of those that agree with the similarity of one match: that one, and rows, sorted."""
    seeds = min(options.hypotheses, len(matches))
    limits = kernel.SimilarityLimits(2 * tolerance, _LOOSE, _CLOSE, *_bounds(options))
    return _largest(*kernel.similar(matches.query, matches.reference, matches.turns, seeds, limits), enough)


def _largest(agree: NDArray[np.bool_], closely: NDArray[np.bool_], enough: int) -> list[tuple[int, NDArray[np.intp]]]:
    """The rows of (S, N) with the most agreement, and what agrees there; none, if in no row ``enough`` do.

    Up to three large sets of loose agreement, no two of which share most of their matches, and the largest set of close
    agreement: in a repeated pattern many matches agree loosely with any map.
    """
    sets: list[tuple[int, NDArray[np.intp]]] = []
    weights = agree.sum(axis=1)
    if weights.max() < enough:
        return sets
    for _ in range(3):
        seed = int(weights.argmax())
        if weights[seed] < FEWEST_MATCHES:
            break
        sets.append((seed, np.flatnonzero(agree[seed])))
        weights = np.where(agree[:, sets[-1][1]].sum(axis=1) > weights / 2, 0, weights)
    closest = int(closely.sum(axis=1).argmax())
    if closely[closest].sum() >= FEWEST_MATCHES:
        sets.append((closest, np.flatnonzero(closely[closest])))
    return sets


def _turned_alike(
    turns: NDArray[np.float64], others: NDArray[np.float64], options: GeometryOptions
) -> NDArray[np.bool_]:
    """Whether two maps, as vectors (N, 2), agree in rotation and scale within the tolerances."""
    least_cosine, most = _bounds(options)
    growths, other_growths = _lengths(turns), _lengths(others)
    along = turns[:, 0] * others[:, 0] + turns[:, 1] * others[:, 1]
    grown_alike = (growths <= most * other_growths) & (other_growths <= most * growths)
    return np.asarray(grown_alike & (along >= least_cosine * (growths * other_growths)))


@functools.cache
def _bounds(options: GeometryOptions) -> tuple[float, float]:
    """The tolerances as the least cosine between two turns, and the most growth from one to the other."""
    return float(cos_sin(math.radians(options.angle_deg))[0]), float(exp2(options.octaves))


def _lengths(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) to (N,)."""
    return np.sqrt(vectors[:, 0] * vectors[:, 0] + vectors[:, 1] * vectors[:, 1])


def _models(matches: TentativeMatches, rows: NDArray[np.intp], tolerance: float) -> list[Matrix]:
    """An affine map through those of the matches that it brings close, and a homography where these are enough."""
    query, reference, turns = matches.query[rows], matches.reference[rows], matches.turns[rows]
    model = _affine(query, reference, turns, tolerance)
    errors = _lengths(project(model, query) - reference)
    inside = np.ones(len(rows), bool)
    for factor in (6.0, 4.0, 2.0, 1.5, 1.0, 1.0):
        last, inside = inside, errors <= factor * tolerance
        if np.count_nonzero(inside) < FEWEST_MATCHES:
            inside = np.zeros(len(rows), bool)
            inside[np.argsort(errors, kind="stable")[:FEWEST_MATCHES]] = True
        if (inside != last).any():
            model = _affine(query[inside], reference[inside], turns[inside], tolerance)
            errors = _lengths(project(model, query) - reference)
    models = [model]
    if np.count_nonzero(inside) >= 8:
        wide = errors <= 10 * tolerance
        homography = _magsac(query[wide], reference[wide], tolerance)
        if homography is not None:
            models.append(homography)
    return models


def _affine(
    query: NDArray[np.float64], reference: NDArray[np.float64], turns: NDArray[np.float64], tolerance: float
) -> Matrix:
    """Affine map by least squares of positions and, weighted by how rough they are, of keypoints' rotation and scale.

    Points far apart fix the map by themselves; a few that lie close together need their rotation and scale as well.

    Args:
        query: (N, 2), px.
        reference: (N, 2), px.
        turns: (N, 2), rotation and scale of each match.
        tolerance: px.
    """
    count = len(query)
    means = (np.hstack([query, reference, turns]).sum(axis=0) / count).tolist()
    centre_x, centre_y, to_x, to_y, turn_x, turn_y = means
    centred = query - np.array([centre_x, centre_y])
    # Variance of positions (tolerance / 2, squared) over that of rotation and scale, px squared.
    rough = tolerance / 2 / (_KEYPOINT_ERROR * (float(_lengths(turns).sum()) / count))
    weight = count * (rough * rough)
    # Normal equations with two unknowns for each axis: quick, and well conditioned about the mean.
    sums = (np.hstack([centred, reference])[:, :, None] * centred[:, None]).sum(axis=0)
    sums += weight * np.array([[1, 0], [0, 1], [turn_x, -turn_y], [turn_y, turn_x]])
    (a, b), (_, c), *rights = sums.tolist()
    by = a * c - b * b
    (xx, xy), (yx, yy) = (((p * c - q * b) / by, (q * a - p * b) / by) for p, q in rights)
    return np.array(
        [
            [xx, xy, to_x - (xx * centre_x + xy * centre_y)],
            [yx, yy, to_y - (yx * centre_x + yy * centre_y)],
            [0.0, 0.0, 1.0],
        ]
    )


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
    last = np.zeros(len(matches), bool)
    for _ in range(6):
        errors = _lengths(project(matrix, matches.query) - matches.reference)
        near = errors < tolerance
        if near.sum() < _ENOUGH_TO_REFINE:
            break
        scatter = 1.4826 * np.median(errors[near])  # of a normal distribution with this median
        near &= errors < max(2.5 * scatter, 0.1 * tolerance)
        if near.sum() < _ENOUGH_TO_REFINE or (near == last).all():
            break
        last = near
        found = _least_squares(matrix, matches.query[near], matches.reference[near])
        if found is None or not _is_sane(found, matches.query[fit.inliers]):
            break
        matrix = found
    return dataclasses.replace(fit, reference_from_query=matrix)


def _least_squares(start: Matrix, query: NDArray[np.float64], reference: NDArray[np.float64]) -> Matrix | None:
    """The homography with the least squared errors in the reference, px, by Gauss and Newton; None if there is none.

    Both sides are brought to the middle and to about unit size first, so that the normal equations are sound.
    """
    to_unit, unit_reference = _to_unit(query), _to_unit(reference)
    points, targets = project(to_unit, query), project(unit_reference, reference)
    matrix = product(unit_reference, start, inverse(to_unit))
    for _ in range(_STEPS):
        matrix = matrix / matrix[2, 2]
        mapped = project(matrix, points)
        if not np.isfinite(mapped).all():
            return None
        depths = points[:, 0] * matrix[2, 0] + points[:, 1] * matrix[2, 1] + 1
        scaled = np.stack([points[:, 0], points[:, 1], np.ones(len(points))]) / depths
        # By the first eight entries of the map: of all x, then of all y.
        by_axis = np.zeros((8, 2, len(points)))
        by_axis[:3, 0] = by_axis[3:6, 1] = scaled
        by_axis[6:] = -mapped.T * scaled[:2, None]
        slopes = by_axis.reshape(8, -1)
        step = solve((slopes[:, None] * slopes).sum(axis=2), (slopes * (targets - mapped).T.ravel()).sum(axis=1))
        if step is None:
            return None
        matrix = matrix + np.append(step, 0).reshape(3, 3)
        if np.abs(step).max() < _LAST_STEP:
            break
    found = product(inverse(unit_reference), matrix, to_unit)
    return found / found[2, 2] if np.isfinite(found).all() and abs(found[2, 2]) > 1e-12 else None


def _to_unit(points: NDArray[np.float64]) -> Matrix:
    """(3, 3): brings (N, 2) points to mean 0 and about unit size."""
    middle = points.mean(axis=0)
    scale = 1 / max(float(_lengths(points - middle).mean()), 1e-9)
    return np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1]])


def _is_sane(matrix: Matrix, support: NDArray[np.float64]) -> bool:
    """Whether a map could show one picture in another: not folded, mirrored, or absurdly scaled or sheared.

    It is tested at the centre of the matched points, (N, 2) px of the query, and at the corners of their bounding box.
    """
    centre = support.mean(axis=0)
    corners = np.array([support.min(axis=0), support.max(axis=0)])
    points = np.vstack([centre, corners, [corners[0, 0], corners[1, 1]], [corners[1, 0], corners[0, 1]]])
    depth = points[:, 0] * matrix[2, 0] + points[:, 1] * matrix[2, 1] + matrix[2, 2]
    if depth.min() <= 0 or depth.max() > _MOST_DEPTH * depth.min():
        return False
    # Singular values a >= b of a Jacobian: a b is its determinant, a^2 + b^2 the sum of its squares, so that
    # a / b <= 4 where (a^2 + b^2) / (a b) <= 4 + 1/4.
    turns = jacobians(matrix, points)
    areas = determinants(turns)
    squares = (turns**2).sum(axis=(1, 2))
    sheared = squares > (_MOST_SHEAR + 1 / _MOST_SHEAR) * areas
    too_small, too_large = areas.min() <= 1 / _MOST_GROWTH**2, areas.max() >= _MOST_GROWTH**2
    return not (sheared.any() or too_small or too_large)


def _inliers(matrix: Matrix, matches: TentativeMatches, tolerance: float, options: GeometryOptions) -> NDArray[np.intp]:
    """Rows of the matches that agree with a map, each feature's best one; sorted."""
    errors = _lengths(project(matrix, matches.query) - matches.reference)
    close = np.flatnonzero(errors <= tolerance)
    if len(close) < FEWEST_MATCHES:
        return close
    turn = _turn_at(matrix, matches.query[close].mean(axis=0))
    close = close[_turned_alike(matches.turns[close], turn[None], options)]
    close = close[np.argsort(errors[close], kind="stable")]
    close = close[_first_rows(matches.query_rows[close])]
    return np.sort(close[_first_rows(matches.reference_rows[close])])


def _turn_at(matrix: Matrix, point: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2,): rotation and scale of a map at a point, as a vector."""
    (a, b), (c, d) = jacobians(matrix, point[None])[0]
    heading = np.array([a + d, c - b])
    growth = math.sqrt(max(a * d - b * c, 0.0))
    return heading * (growth / max(math.sqrt(heading[0] * heading[0] + heading[1] * heading[1]), 1e-12))


def _first_rows(values: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each distinct value stands first, in order."""
    return np.sort(np.unique(values, return_index=True)[1])
