"""What looks at a query have found, taken together."""

from __future__ import annotations

import dataclasses

import numpy as np

from featmatch.proof.probability import FeatureEvidence
from featmatch.search.compared import Compared
from featmatch.search.matches import FoundImage, Holder
from tests.proof.proofs import made_proof


def found(number: int, geometry: float) -> FoundImage:
    proof = made_proof(np.eye(3), (400, 300), (400, 300))
    evidence = FeatureEvidence(geometry, geometry, 1.0, 1.0, "sift")
    return FoundImage(number, dataclasses.replace(proof, evidence=evidence))


def test_something_is_claimed_by_its_proof_or_by_the_user() -> None:
    unsure = [found(1, 0.5), found(2, 0.6)]
    assert not Compared(unsure, {}, {1: False}, frozenset()).is_claimed
    assert Compared(unsure, {}, {2: True}, frozenset()).is_claimed
    assert Compared([*unsure, found(3, 100.0)], {}, {}, frozenset()).is_claimed


def test_of_two_looks_the_better_proof_of_each_image_counts() -> None:
    first = Compared(
        [found(1, 8.0), found(2, 3.0)], {1: [Holder(10, ["a"])], 2: [Holder(20, ["b"])]}, {1: True}, frozenset({1})
    )
    second = Compared(
        [found(2, 5.0), found(3, 4.0)], {2: [Holder(7, ["b"])], 3: [Holder(9, ["c"])]}, {1: False}, frozenset({3})
    )
    both = first.with_more(second, second.found[:1])
    assert [(one.id, one.proof.evidence.geometry) for one in both.found] == [(1, 8.0), (2, 5.0)]
    assert both.holders == {1: [Holder(10, ["a"])], 2: [Holder(20, ["b"])], 3: [Holder(9, ["c"])]}
    assert both.verdicts == {1: True}
    assert both.away == {1, 3}
