"""Features of as many images as are wanted, out of those of a few hundred photos.

A synthetic image has the features of four photos, a quarter from each, every photo in any of its variants: as it is,
mirrored, as a negative, or both (whose words and signatures follow from the plain ones where the vocabulary is closed).
In each signature about four of the 64 bits are flipped, and positions, angles and sizes are jittered. So words keep the
distribution that they have in photos, and signatures theirs within a word, but no synthetic image is a copy. As a whole
it looks like the first of its photos, under a perceptual hash of random bits.

To be grouped, images must share places only where they are copies: then features lie anywhere, and some images are
copies of others, at four fifths of the size, with three fifths of the features that the other has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.features.extraction import FeatureOptions, Features
from featmatch.features.looks import LookArray, WholePicture, whole_picture
from featmatch.features.symmetry import Variant, variants_of
from featmatch.images.pixels import GreyImage
from featmatch.images.stored import NO_PICTURE
from featmatch.store.postings import Postings, quantised
from featmatch.store.segment_writer import IndexedImage
from featmatch.words.vocabulary import Vocabulary, Words

PHOTOS_AN_IMAGE = 4
_SIZE = (640, 480)  # of every synthetic image, px
_ANDED = 4  # random words; a bit is set in all of them, and flipped, once in sixteen
_JITTER = 1000  # 65535ths of the longer side
_SCALE, _MARGIN = 0.8, 3000  # of a copy, and where the other's corner is in it, in 65535ths of the longer side


def as_indexed(features: Features, words: Words, whole: WholePicture) -> IndexedImage:
    """What ``add`` keeps of a picture."""
    postings = quantised(
        features.keypoints, features.angles, features.sizes, words.signatures[:, 0],
        max(features.width, features.height),
    )  # fmt: skip
    return IndexedImage(
        features.width, features.height, words.ids[:, 0], postings, whole.phashes[0], whole.looks[0], NO_PICTURE
    )  # fmt: skip


@dataclass(frozen=True)
class Material:
    """Features of photos in all their variants, one after the other.

    Attributes:
        offsets: (photos * variants + 1,) int64, where those of each begin.
        words: (N,) int32.
        postings: of N rows.
        looks: (photos * variants,) of ``LOOK``.
    """

    offsets: NDArray[np.int64]
    words: NDArray[np.int32]
    postings: Postings
    looks: LookArray

    @classmethod
    def of(
        cls, photos: Sequence[tuple[GreyImage, Features]], vocabulary: Vocabulary, options: FeatureOptions
    ) -> Material:
        """Find the words of photos and of their variants."""
        random = np.random.default_rng(0)
        parts = []
        for grey, features in photos:
            plain, whole = vocabulary.assign(features.descriptors), whole_picture(grey)
            for variant, seen in zip(Variant, variants_of(features, grey, options), strict=True):
                closed = vocabulary.forms > 1
                words = vocabulary.permuted(plain, variant) if closed else vocabulary.assign(seen.descriptors)
                parts.append((random.permutation(len(seen)), as_indexed(seen, words, whole)))
        return cls(
            np.cumsum([0, *(len(order) for order, _ in parts)]),
            np.concatenate([part.words[order] for order, part in parts]),
            Postings(
                **{
                    name: np.concatenate([getattr(part.postings, name)[order] for order, part in parts])
                    for name in Postings.__annotations__
                }
            ),
            np.array([part.look for _, part in parts]),
        )

    def images(
        self, count: int, features: int, seed: tuple[int, int], copies: float | None = None
    ) -> Iterator[IndexedImage]:
        """Make images, each of about so many features (fewer, where a photo has less than a quarter of them).

        Args:
            count: of images.
            features: of each.
            seed: of what is random.
            copies: the share of them that are copies of others, 0 to 0.5; None: none are, and features lie where they
                do in the photos.
        """
        random = np.random.default_rng(seed)
        share = features // PHOTOS_AN_IMAGE
        sources = random.integers(len(self.offsets) - 1, size=(count, PHOTOS_AN_IMAGE))
        lengths = np.diff(self.offsets)[sources]
        starts = random.integers(1 << 30, size=sources.shape) % lengths
        places = np.arange(share)
        rows = self.offsets[sources][..., None] + (starts[..., None] + places) % lengths[..., None]
        chosen = np.asarray(places < lengths[..., None]).reshape(count, -1)
        ends = np.cumsum(chosen.sum(axis=1))
        flat = rows.reshape(count, -1)[chosen]
        columns = self._jittered(flat, random)
        words = self.words[flat]
        if copies is not None:
            _scatter(columns, random)
            for copy, other in random.permutation(count)[: 2 * int(copies * count)].reshape(-1, 2).tolist():
                rows, of_other = (np.arange(ends[image - 1] if image else 0, ends[image]) for image in (copy, other))
                shared = min(len(rows), len(of_other)) * 3 // 5
                _copy(words, columns, rows[:shared], random.permutation(of_other)[:shared], random)
        phashes, looks = random.integers(1 << 64, size=count, dtype=np.uint64), self.looks[sources[:, 0]]
        for image, last in enumerate(ends.tolist()):
            one = slice(ends[image - 1] if image else 0, last)
            own = Postings(**{name: column[one] for name, column in columns.items()})
            yield IndexedImage(*_SIZE, words[one], own, phashes[image], looks[image], NO_PICTURE)

    def _jittered(self, rows: NDArray[np.int64], random: np.random.Generator) -> dict[str, NDArray[Any]]:
        flips = _flips(len(rows), random)
        steps = random.integers(-_JITTER, _JITTER + 1, size=(2, len(rows)), dtype=np.int32)
        turns = random.integers(-3, 4, size=(2, len(rows)), dtype=np.int16)
        own = self.postings
        return {
            "image": np.zeros(len(rows), np.uint32),
            "signature": own.signature[rows] ^ flips,
            "x": np.clip(own.x[rows] + steps[0], 0, 65_535).astype(np.uint16),
            "y": np.clip(own.y[rows] + steps[1], 0, 65_535).astype(np.uint16),
            "angle": (own.angle[rows] + turns[0]).astype(np.uint8),
            "size": np.clip(own.size[rows] + turns[1], 0, 255).astype(np.uint8),
        }


def _flips(count: int, random: np.random.Generator) -> NDArray[np.uint64]:
    """(count,): a bit in sixteen."""
    return np.asarray(np.bitwise_and.reduce(random.integers(1 << 64, size=(_ANDED, count), dtype=np.uint64)))


def _scatter(columns: dict[str, NDArray[Any]], random: np.random.Generator) -> None:
    """Let features lie anywhere, and turn anyhow."""
    width, height = _SIZE
    columns["x"][:] = random.integers(65_536, size=len(columns["x"]))
    columns["y"][:] = random.integers(65_536 * height // width, size=len(columns["y"]))
    columns["angle"][:] = random.integers(256, size=len(columns["angle"]))


def _copy(
    words: NDArray[np.int32], columns: dict[str, NDArray[Any]], to: NDArray[np.int64], rows: NDArray[np.int64],
    random: np.random.Generator,
) -> None:  # fmt: skip
    """Put smaller copies of some features in the place of others."""
    words[to] = words[rows]
    columns["signature"][to] = columns["signature"][rows] ^ _flips(len(rows), random)
    columns["angle"][to] = columns["angle"][rows]
    columns["size"][to] = np.clip(columns["size"][rows] + 16 * np.log2(_SCALE), 0, 255).astype(np.uint8)
    for name in "xy":
        columns[name][to] = (_SCALE * columns[name][rows] + _MARGIN).astype(np.uint16)
