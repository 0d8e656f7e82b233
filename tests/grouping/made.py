"""Images of an index that are made of random numbers: features, words and looks, but no pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from featmatch.features.extraction import Features
from featmatch.features.looks import LOOK
from featmatch.features.symmetry import Variant, with_places_of
from featmatch.geometry.maps import Matrix, project
from featmatch.grouping.pairs import Pair
from featmatch.grouping.repeating import Repeated
from featmatch.images.stored import NO_PICTURE
from featmatch.store.postings import Postings, quantised
from featmatch.store.segment import Segment
from featmatch.words.signatures import signature_projection
from featmatch.words.vocabulary import Vocabulary, Words

WIDTH, HEIGHT = 400, 300
BASES = 100


def vocabulary() -> Vocabulary:
    """A closed vocabulary; its words are never looked for."""
    words = np.zeros((BASES, 128), np.uint8)
    return Vocabulary(
        "sift", words, words[:1], np.array([0, BASES]), signature_projection("sift", 128, 1),
        np.ones(BASES, np.float32), {},
    )  # fmt: skip


@dataclass(frozen=True)
class Made:
    """An image: its features, their words, and what it looks like as a whole."""

    features: Features
    words: Words
    phash: int = 0
    layout: tuple[int, ...] = ()

    def moved(self, matrix: Matrix, width: int = WIDTH, height: int = HEIGHT) -> Made:
        """A copy, turned and scaled by a similarity; features outside of its frame are not there."""
        features = self.features
        scale, turn = float(np.hypot(*matrix[:2, 0])), float(np.arctan2(matrix[1, 0], matrix[0, 0]))
        points = project(matrix, features.keypoints)
        inside = np.flatnonzero(((points >= 0) & (points <= [width - 1, height - 1])).all(axis=1))
        found = replace(
            features, width=width, height=height, keypoints=points[inside].astype(np.float32),
            sizes=features.sizes[inside] * np.float32(scale),
            angles=np.mod(features.angles[inside] + turn, 2 * np.pi).astype(np.float32),
            descriptors=features.descriptors[inside],
        )  # fmt: skip
        return replace(self, features=found, words=Words(self.words.ids[inside], self.words.signatures[inside]))

    def in_variant(self, variant: Variant) -> Made:
        """The mirrored or negative picture."""
        words = vocabulary().permuted(self.words, variant)
        return replace(self, features=with_places_of(self.features, variant), words=words)

    def beside(self, other: Made) -> Made:
        """This one with the features of another one added."""
        pairs = zip(_columns(self.features), _columns(other.features), strict=True)
        keypoints, sizes, angles, descriptors = (np.concatenate(pair) for pair in pairs)
        words = [np.concatenate([getattr(one.words, name) for one in (self, other)]) for name in ("ids", "signatures")]
        features = replace(self.features, keypoints=keypoints, sizes=sizes, angles=angles, descriptors=descriptors)
        return replace(self, features=features, words=Words(*words))


def _columns(features: Features) -> tuple[NDArray[np.generic], ...]:
    return features.keypoints, features.sizes, features.angles, features.descriptors


def image(seed: int, count: int = 120, *, phash: int = 0, layout: Sequence[int] = ()) -> Made:
    """An image of 400 x 300 px with random features."""
    random = np.random.default_rng(seed)
    features = Features(
        "sift", WIDTH, HEIGHT,
        random.uniform(0, [WIDTH - 1, HEIGHT - 1], (count, 2)).astype(np.float32),
        np.exp2(random.uniform(2, 5, count)).astype(np.float32),
        random.uniform(0, 2 * np.pi, count).astype(np.float32),
        np.zeros((count, 128), np.uint8),
    )  # fmt: skip
    words = Words(
        random.integers(4 * BASES, size=(count, 1)).astype(np.int32),
        random.integers(1 << 63, size=(count, 1)).astype(np.uint64),
    )
    return Made(features, words, phash, tuple(layout))


def segment(images: dict[int, Made]) -> Segment:
    """A segment in memory with these images, by their ids."""
    postings = [
        replace(
            quantised(one.features.keypoints, one.features.angles, one.features.sizes, one.words.signatures[:, 0],
                      max(one.features.width, one.features.height)),
            image=np.full(len(one.features), place, np.uint32),
        )
        for place, one in enumerate(images.values())
    ]  # fmt: skip
    words = np.concatenate([one.words.ids[:, 0] for one in images.values()])
    order = np.argsort(words, kind="stable")
    columns = {name: np.concatenate([vars(one)[name] for one in postings])[order] for name in vars(postings[0])}
    looks = np.zeros(len(images), LOOK)
    for place, one in enumerate(images.values()):
        looks["layout"][place, : len(one.layout)] = one.layout
        looks["colours"][place] = len(one.layout)  # those of all layouts are the same
    return Segment(
        offsets=np.concatenate([[0], np.cumsum(np.bincount(words, minlength=4 * BASES))]).astype(np.uint32),
        postings=Postings(**columns),
        ids=np.array(list(images), np.int64),
        widths=np.array([one.features.width for one in images.values()], np.int32),
        heights=np.array([one.features.height for one in images.values()], np.int32),
        features=np.array([len(one.features) for one in images.values()], np.int32),
        phashes=np.array([one.phash for one in images.values()], np.uint64),
        looks=looks,
        picture_bytes=np.zeros(len(images), np.uint32),
        pictures=NO_PICTURE,
    )


def scaled(factor: float, x: float = 0, y: float = 0) -> Matrix:
    """(3, 3): a map that scales, then shifts."""
    return np.array([[factor, 0, x], [0, factor, y], [0, 0, 1]])


def turned(angle_deg: float, factor: float = 1.0) -> Matrix:
    """(3, 3): a map that turns and scales about the middle of an image."""
    angle, middle = np.radians(angle_deg), np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    turn = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.vstack([np.column_stack([turn, middle - turn @ middle]), [0, 0, 1]])


def pair(a: int, b: int, homography: NDArray[np.float64], covered_a: float = 1.0, covered_b: float = 1.0) -> Pair:
    """A sure pair; the homography maps px of b to px of a."""
    return Pair(
        b, a, homography, False, False, 80, 90.0, 1.0,
        Repeated(covered_b, 0.6, 1.0), Repeated(covered_a, 0.6, 1.0),
    )  # fmt: skip
