"""Features of a query -> the visual words that it looks up, and how far their hits may be off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.features.extraction import Features
from featmatch.features.symmetry import Variant
from featmatch.native.postings import QueryEntries
from featmatch.search.crowding import MOST_OF_WORD, first_of_each
from featmatch.words.vocabulary import Vocabulary

# Of 600,000 images with 500 each. To read fewer postings saves no time with 190 million, and 1.4 times with 500 million
# (docs/benchmarks.md), while one image in a hundred is lost.
_MANY_FEATURES = 300_000_000
_FIXED, _MOST_FIXED = 2, 4  # bits: of three words, about a sixth of the postings are left


def fixed_bits(words: int, features: int) -> NDArray[np.int64]:
    """In how many of the highest bits of its signature no hit of a word may differ: of the nearest word and the others.

    This depends on nothing but how many features all images have, so answers do not on how these lie in segments or
    indexes.

    >>> fixed_bits(3, 300_000_000).tolist(), fixed_bits(3, 500_000_000).tolist()
    ([0, 0, 0], [2, 3, 4])
    """
    return np.minimum(_FIXED + np.arange(words), _MOST_FIXED) * (features > _MANY_FEATURES)


class VariantWords(NamedTuple):
    """What one variant of a query looks up.

    Attributes:
        entries: of Q rows.
        features: (Q,) int64, number of the feature of each.
        most: how many of them look up the same word.
    """

    entries: QueryEntries
    features: NDArray[np.int64]
    most: int


@dataclass(frozen=True)
class QueryWords:
    """Words of one query's variants, in flat columns of Q rows: one for each feature, word and variant.

    Attributes:
        ids: (Q,) int32.
        signatures: (Q,) uint64.
        weights: (Q,) float32, idf squared.
        variants: (Q,) int32.
        features: (Q,) int64, number of the feature, counted anew in each variant.
        fixed: (Q,) uint8, in which of the 8 highest bits of its signature no hit may differ.
        nearest_first: whether hits count, and match, in an order that does not depend on how lists lie; as where there
            are so many features that segments may have their lists in parts.
        all_but_one: whether a hit may differ in one of its fixed bits after all, which does not count.
    """

    ids: NDArray[np.int32]
    signatures: NDArray[np.uint64]
    weights: NDArray[np.float32]
    variants: NDArray[np.int32]
    features: NDArray[np.int64]
    fixed: NDArray[np.uint8]
    nearest_first: bool = False
    all_but_one: bool = False

    @classmethod
    def of(cls, vocabulary: Vocabulary, variants: Sequence[Features], fixed: NDArray[np.integer]) -> QueryWords:
        """Find the nearest words of each feature of each variant.

        In a closed vocabulary the words and signatures of the variants follow from those of the first.

        Args:
            vocabulary: of the index.
            variants: the features of each variant, in the order of ``Variant``.
            fixed: of as many words of each feature as are looked up, the nearest first, in how many bits no hit may
                differ: of the highest 8, those that are the least likely to.
        """
        count = len(fixed)
        if vocabulary.forms > 1:
            plain = vocabulary.assign(variants[0].descriptors, count)
            firm = [vocabulary.firm_bits(variants[0].descriptors, plain.ids, fixed)] * len(variants)
            found = [vocabulary.permuted(plain, variant) for variant in list(Variant)[: len(variants)]]
            # Features of one word have one in each variant.
            looked_up = [first_of_each(plain.ids.ravel(), MOST_OF_WORD)] * len(found)
        else:
            found = [vocabulary.assign(features.descriptors, count) for features in variants]
            firm = [
                vocabulary.firm_bits(one.descriptors, words.ids, fixed)
                for one, words in zip(variants, found, strict=True)
            ]
            looked_up = [first_of_each(words.ids.ravel(), MOST_OF_WORD) for words in found]
        ids = np.concatenate([words.ids.ravel()[rows] for words, rows in zip(found, looked_up, strict=True)])
        return cls(
            ids=ids,
            signatures=np.concatenate(
                [words.signatures.ravel()[rows] for words, rows in zip(found, looked_up, strict=True)]
            ),
            weights=vocabulary.idf_of(ids) ** 2,
            variants=np.repeat(np.arange(len(found), dtype=np.int32), [len(rows) for rows in looked_up]),
            features=np.concatenate(looked_up) // count,
            fixed=np.concatenate([bits.ravel()[rows] for bits, rows in zip(firm, looked_up, strict=True)]),
            nearest_first=bool(fixed.any()),
        )

    @property
    def none(self) -> QueryWords:
        """None of them."""
        return QueryWords(
            self.ids[:0], self.signatures[:0], self.weights[:0], self.variants[:0], self.features[:0], self.fixed[:0],
            self.nearest_first, self.all_but_one,
        )  # fmt: skip

    @cached_property
    def entries(self) -> QueryEntries:
        """What all variants look up."""
        return QueryEntries(
            self.ids, self.signatures, self.weights, self.fixed, self.variants, self.nearest_first, self.all_but_one
        )

    def of_variant(self, variant: Variant) -> VariantWords:
        """What one variant looks up, as if there was no other."""
        return self._of_variants[variant]

    @cached_property
    def most_of_variants(self) -> NDArray[np.int64]:
        """(variants,) int64: how many entries of each look up the same word."""
        return np.array([own.most for own in self._of_variants])

    @cached_property
    def _of_variants(self) -> list[VariantWords]:
        """What each variant looks up, by number. It is the same in all segments and indexes, so it is made once."""
        ends = np.searchsorted(self.variants, np.arange(len(Variant) + 1)).tolist()
        return [self._part(slice(*own)) for own in pairwise(ends)]

    def _part(self, own: slice) -> VariantWords:
        entries = QueryEntries(
            self.ids[own], self.signatures[own], self.weights[own], self.fixed[own],
            np.zeros_like(self.variants[own]), self.nearest_first, self.all_but_one,
        )  # fmt: skip
        return VariantWords(entries, self.features[own], int(np.bincount(entries.words, minlength=1).max()))
