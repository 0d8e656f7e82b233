"""Proven pairs with the features that agree, against a truth of known edits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from featmatch import Index
from featmatch.grouping.two_views import TwoViews, images_in, proven_pairs, two_views
from featmatch.system.progress import ignore
from tests.grouping.conftest import BOX, mapped

PAIRS = {("cut.png", "whole.png"), ("mirrored.png", "whole.png"), ("cut.png", "mirrored.png")}


def true_map(one: str, other: str) -> NDArray[np.float64]:
    """Px of one image to px of the other."""
    shift = np.array([[1.0, 0, BOX[0]], [0, 1, BOX[1]], [0, 0, 1]])
    mirror = np.array([[-1.0, 0, 599], [0, 1, 0], [0, 0, 1]])
    to_whole = {"whole.png": np.eye(3), "cut.png": shift, "mirrored.png": mirror}
    return np.asarray(np.linalg.inv(to_whole[other]) @ to_whole[one])


def test_pairs_and_numbers_of_features_are_true(edited_index: Index, edited_views: list[TwoViews]) -> None:
    assert {tuple(sorted(view.proven.names)) for view in edited_views} == PAIRS
    for view in edited_views:
        proven = view.proven
        assert proven.one < proven.other
        assert proven.probability > 0.9
        images = images_in(edited_index, [proven])
        one, other = (images[number].features.keypoints for number in (proven.one, proven.other))
        truth = true_map(*proven.names)
        corners = np.array([[200.0, 100], [300, 100], [200, 250]])
        for told in (view.other_from_one, proven.other_from_one):
            assert np.abs(mapped(told, corners) - mapped(truth, corners)).max() < 1
        rows = view.features
        assert len(rows) > 30
        assert all(len(np.unique(column)) == len(rows) for column in rows.T)
        assert np.abs(mapped(truth, one[rows[:, 0]]) - other[rows[:, 1]]).max() < 6


def test_a_pair_is_the_same_from_either_side(edited_index: Index, edited_views: list[TwoViews]) -> None:
    pairs = [view.proven for view in edited_views]
    turned = [replace(one, one=one.other, other=one.one, names=one.names[::-1]) for one in pairs]
    seen = two_views(turned, images_in(edited_index, pairs), edited_index.vocabulary)
    for there, back in zip(edited_views, seen, strict=True):
        assert sorted(map(tuple, there.features.tolist())) == sorted(map(tuple, back.features[:, ::-1].tolist()))
        assert (np.diff(back.features[:, 0].astype(int)) > 0).all()
        for one, other in ((there, back), (there.proven, back.proven)):
            inverse = np.linalg.inv(one.other_from_one)
            np.testing.assert_allclose(other.other_from_one, inverse / inverse[2, 2], rtol=1e-9, atol=1e-9)


def test_verdicts_go_before_the_evidence(edited_index: Index) -> None:
    edited_index.reject("whole.png", "cut.png")
    edited_index.accept("whole.png", "mirrored.png")
    try:
        pairs, _ = proven_pairs(edited_index, min_probability=1.0, jobs=1, progress=ignore)
        assert [(tuple(sorted(pair.names)), pair.probability) for pair in pairs] == [
            (("mirrored.png", "whole.png"), 1.0)
        ]
    finally:
        for name in ("cut.png", "mirrored.png"):
            edited_index.forget("whole.png", name)
