"""What is said of a pair, in one sentence, at each stage at which it may be lost."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from featmatch.errors import ImageError
from featmatch.features.symmetry import Variant
from featmatch.images.decoding import DecodingOptions
from featmatch.proof.probability import FeatureEvidence
from featmatch.proof.whole_evidence import Likeness, WholeEvidence
from featmatch.search.explanation import Explanation, Seen, SharedWords, Stage, Verified, Votes, sentence
from featmatch.search.matches import Match, Verdict
from tests.proof.proofs import made_proof

DOUBTFUL = FeatureEvidence(5.0, 5.0, 1.0, 0.5, "sift")
SURE = FeatureEvidence(300.0, 300.0, 1.0, 1.0, "sift")


def match(evidence: FeatureEvidence | WholeEvidence, verdict: Verdict | None = None) -> Match:
    proof = dataclasses.replace(made_proof(np.eye(3), (100, 80), (100, 80)), evidence=evidence)
    return Match(7, "a.jpg", proof, verdict)


def told(found: Match | None, place: int | None = None, rank: int | None = 3) -> Explanation:
    dropped = np.zeros((2, 5, 2))
    return Explanation(
        name="a.jpg", verdict="", lost=None, query=Seen(100, 80, 200), image=Seen(120, 90, 300),
        words=SharedWords(150, 40), votes=Votes(Variant.MIRRORED, 44, 0.123456, rank, 900, 20),
        agreement=Verified(25, found, place, dropped), files=(np.zeros((80, 100), np.uint8), None),
    )  # fmt: skip


def test_a_proven_pair_says_how() -> None:
    sure = match(SURE)
    said = sentence(told(sure, place=2), None)
    assert said == f"proven: copy; 20 features agree, probability {sure.probability:.4f}; answer 2 to the query"
    assert sentence(told(match(DOUBTFUL, "accepted"), place=1), None).startswith("accepted by a verdict: copy; ")
    alike = match(WholeEvidence(Likeness(150.0, 1.0, 1.0), 0.95))
    assert "; alike as a whole, probability 0.9" in sentence(told(alike, place=1), None)


@pytest.mark.parametrize(
    ("stage", "features", "words", "expected"),
    [
        ("words", (200, 300), 0, "lost among the words: 0 words in common"),
        ("votes", (200, 300), 4, "lost among the votes: 4 words in common, but no two features with them are alike"),
        ("words", (0, 300), 0, "lost among the words: 0 words in common, since there are too few features"),
        ("votes", (200, 0), 2, "lost among the votes: 2 words in common, since there are too few features"),
    ],
)
def test_a_pair_without_hits(stage: Stage, features: tuple[int, int], words: int, expected: str) -> None:
    query, image = (Seen(100, 80, count) for count in features)
    pair = dataclasses.replace(told(None), query=query, image=image, words=SharedWords(150, words), agreement=None)
    said = sentence(pair, stage)
    assert said.startswith(expected)
    assert said.endswith("alike as a whole") is (0 in features)


def test_a_pair_that_was_rejected_still_says_what_speaks_for_it() -> None:
    said = sentence(told(match(SURE, "rejected")), "verdict")
    assert said.startswith("rejected by a verdict; the evidence itself: 20 features agree, probability ")


def test_a_pair_below_the_shortlist_says_its_rank() -> None:
    expected = "lost before verification: rank 33 by votes, the best 20 go on; alone: no three matches agree"
    assert sentence(told(None, rank=33), "shortlist") == expected
    assert "rank beyond 10000 by votes" in sentence(told(match(SURE), rank=None), "shortlist")


def test_a_pair_without_geometry() -> None:
    assert sentence(told(None), "geometry") == "lost in geometry: no three of the matches (25) agree on one place"


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (DOUBTFUL, "20 features agree, too few, or too unevenly, to be sure"),
        (dataclasses.replace(DOUBTFUL, distinct=1.0), "20 features agree, but other images share the same part"),
        (WholeEvidence(Likeness(1.0, 0.1, 0.1)), "not alike enough as a whole"),
    ],
)
def test_a_pair_that_is_not_proven_says_what_is_wanting(
    evidence: FeatureEvidence | WholeEvidence, expected: str
) -> None:
    found = match(evidence)
    said = sentence(told(found), "probability")
    assert said == f"not proven: probability {found.probability:.4f}, below 0.8; {expected}"


def test_all_of_it_becomes_json() -> None:
    pair = dataclasses.replace(told(match(SURE), place=2), verdict="why", options=("featmatch add",))
    assert pair.proven
    found = json.loads(json.dumps(pair.to_dict(), allow_nan=False))
    assert found.pop("match")["name"] == "a.jpg"
    assert found.pop("evidence")["geometry"] == 300.0
    assert found == {
        "name": "a.jpg", "proven": True, "lost": None, "verdict": "why", "options": ["featmatch add"],
        "query_picture": {"width": 100, "height": 80, "features": 200},
        "image_picture": {"width": 120, "height": 90, "features": 300},
        "words": {"looked_up": 150, "common": 40},
        "votes": {
            "variant": "mirrored", "hits": 44, "votes": 0.1235, "rank": 3, "ranked": 900, "shortlist": 20,
        },
        "matches": 25, "inliers": 20, "place": 2, "form": None,
    }  # fmt: skip


def test_stages_that_were_not_reached_are_null() -> None:
    pair = Explanation(
        name="a.jpg", verdict="why", lost="index", query=Seen(1, 2, 3), files=(np.zeros((9, 9), np.uint8), None)
    )
    assert not pair.proven
    found = pair.to_dict()
    late = ("image_picture", "words", "votes", "matches", "inliers", "place", "evidence", "match")
    assert [found[key] for key in late] == [None] * len(late)
    assert told(None).to_dict()["inliers"] == 0


def test_pictures_are_drawn_within_the_bounds_that_were_given() -> None:
    picture = np.zeros((80, 100), np.uint8)
    bounded = DecodingOptions(max_pixels=1000)
    early = Explanation("a.jpg", "why", "words", Seen(1, 2, 3), files=(picture, picture), decoding=bounded)
    late = dataclasses.replace(told(match(SURE)), files=(picture, picture), decoding=bounded)
    for pair in (early, late):
        with pytest.raises(ImageError, match="max-pixels"):
            pair.draw()
        drawn = dataclasses.replace(pair, decoding=DecodingOptions()).draw()
        plain = dataclasses.replace(pair, agreement=None, decoding=DecodingOptions()).draw()
        assert bool((drawn != plain).any()) is (pair is late)


def test_evidence_says_no_more_than_the_stage_has() -> None:
    bare = dataclasses.replace(told(None), agreement=None)
    assert sentence(bare, "geometry") == "lost in geometry: no three of the matches (0) agree on one place"
