"""Of images that share the same small thing with a query again and again, the hits that say the most are kept."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch import Index
from featmatch.geometry.matches import GeometryOptions, TentativeMatches
from featmatch.geometry.significance import weigh
from featmatch.search import candidates as finding
from featmatch.search import crowding
from featmatch.search.crowding import MOST_MATCHES, MOST_OF_WORD, first_of_each, thinned
from featmatch.search.stages import Search
from tests.search.searches import candidates

Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def made_hits(counts: list[int], features: int, seed: int = 1) -> Columns:
    """Random hits of images: features and postings are few, so many are alike; no posting is of two images."""
    random = np.random.default_rng(seed)
    images = np.repeat(np.arange(len(counts)), counts)
    random.shuffle(images)
    own = random.zipf(1.3, len(images)) % features
    postings = images * 1_000_000 + random.zipf(1.3, len(images)) % features
    return images, own, postings, random.integers(0, 23, len(images))


def thinned_one_by_one(images: NDArray[np.int64], own: NDArray[np.int64], postings: NDArray[np.int64],
                       distances: NDArray[np.int64]) -> list[tuple[int, int]]:  # fmt: skip
    """What ``thinned`` says, hit by hit: which are kept, each with its rivals."""
    kept: list[tuple[int, int]] = []
    for image in sorted(set(images.tolist())):
        rows = np.flatnonzero(images == image).tolist()
        rivals = dict.fromkeys(rows, 0)
        if len(rows) > MOST_MATCHES:
            of_feature, of_posting = own[rows].tolist(), postings[rows].tolist()
            rivals = {row: max(of_feature.count(own[row]), of_posting.count(postings[row])) for row in rows}
            values = sorted(rivals.values())
            most = max((value for value in values if sum(one <= value for one in values) <= MOST_MATCHES), default=0)
            rows = [row for row in rows if rivals[row] <= most]
        kept += [(row, rivals[row]) for row in sorted(rows, key=lambda row: (rivals[row], distances[row], row))]
    return kept


@pytest.mark.parametrize("counts", [[0], [7], [40, 0, 25], [41], [200, 3, 40], [500, 400]])
@pytest.mark.parametrize("features", [1, 6, 90])
def test_hits_are_kept_as_one_by_one(monkeypatch: pytest.MonkeyPatch, counts: list[int], features: int) -> None:
    monkeypatch.setattr(crowding, "MOST_MATCHES", 40)
    monkeypatch.setitem(globals(), "MOST_MATCHES", 40)
    columns = made_hits(counts, features)
    found = thinned(*columns)
    assert list(zip(found.rows.tolist(), found.rivals.tolist(), strict=True)) == thinned_one_by_one(*columns)


def test_an_image_that_has_not_too_many_keeps_all_the_nearest_first() -> None:
    images, own, postings, distances = made_hits([MOST_MATCHES], 50)
    found = thinned(images, own, postings, distances)
    assert sorted(found.rows.tolist()) == list(range(MOST_MATCHES))
    assert (np.diff(distances[found.rows]) >= 0).all()
    assert not found.rivals.any()


def test_what_is_left_weighs_as_much_as_it_did_among_all() -> None:
    random = np.random.default_rng(3)
    rows, others = (random.integers(0, 60, 400) for _ in range(2))
    pairs = np.unique(np.stack([rows, others]), axis=1)
    points, nothing = random.uniform(0, 500, (pairs.shape[1], 2)), np.zeros(pairs.shape[1])
    every = TentativeMatches(points, points, nothing, nothing, nothing, *pairs)
    rivals = np.maximum(np.bincount(pairs[0])[pairs[0]], np.bincount(pairs[1])[pairs[1]])
    some = np.flatnonzero(rivals <= 8)
    left = dataclasses.replace(every[some], rivals=rivals[some])
    size, options = (500, 500), GeometryOptions()
    whole, part = weigh(every, some, size, size, options), weigh(left, np.arange(len(some)), size, size, options)
    assert (part.effective, part.clarity) == (whole.effective, whole.clarity)
    kept = left[::2]
    assert kept.rivals is not None
    assert kept.rivals.tolist() == rivals[some][::2].tolist()


def test_limits_are_those_that_everything_was_measured_with() -> None:
    assert (MOST_MATCHES, MOST_OF_WORD) == (3000, 256)


@pytest.mark.parametrize("apart", [1, 3, 1 << 40])
def test_how_often_values_are_there(apart: int) -> None:
    values = np.random.default_rng(5).integers(3, 40, 60) * apart
    assert crowding._times(values).tolist() == [values.tolist().count(value) for value in values]


@pytest.mark.parametrize("most", [1, 2, 100])
def test_the_first_of_each_value(most: int) -> None:
    values = np.random.default_rng(4).integers(0, 9, 60)
    expected = [place for place, value in enumerate(values) if (values[:place] == value).sum() < most]
    assert first_of_each(values, most).tolist() == expected
    assert len(first_of_each(values[:0], most)) == 0


def dotted(seed: int, blur_px: float = 0.01) -> NDArray[np.uint8]:
    """A page of equal dots under strokes of its own."""
    random = np.random.default_rng(seed)
    page = np.full((600, 600), 255, np.uint8)
    for y in range(12, 600, 14):
        for x in range(12, 600, 14):
            cv2.circle(page, (x, y), 4, 0, -1, cv2.LINE_AA)
    for _ in range(14):
        start, end = random.integers(0, 600, (2, 2)).tolist()
        cv2.line(page, start, end, int(random.integers(60, 200)), 6, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(page, (0, 0), blur_px), np.uint8)


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("dots")
    index = Index.open(folder / "index", create=True)
    for seed in range(3):
        cv2.imwrite(str(folder / f"{seed}.png"), dotted(seed))
    index.add([folder / f"{seed}.png" for seed in range(3)], jobs=1)
    return index


@pytest.mark.parametrize("at_once", [1, finding._HITS_AT_ONCE])
def test_no_candidate_has_more_matches_than_are_verified(
    dots: Index, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(finding, "_HITS_AT_ONCE", at_once)
    search = Search.of(dots)
    look = search.read(dotted(1))
    words = search.asked(look).words
    assert np.unique(np.stack([words.ids, words.variants]), axis=1, return_counts=True)[1].max() <= MOST_OF_WORD
    found = candidates(search, look)
    assert found
    assert max(len(candidate.matches) for candidate in found) <= MOST_MATCHES
    crowded = [candidate.matches for candidate in found if candidate.matches.rivals is not None]
    assert crowded
    assert all(matches.rivals is not None and (matches.rivals > 0).all() for matches in crowded)


def test_a_page_of_dots_is_still_found_by_what_is_its_own(dots: Index) -> None:
    best, *others = dots.query(dotted(1, blur_px=0.7), unproven=True)
    assert best.name.endswith("1.png")
    assert best.proof.evidence.geometry > 2 * max([other.proof.evidence.geometry for other in others], default=0.0)
