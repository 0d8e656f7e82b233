"""Questions without what follows from the rest of them, as they are sent to other machines.

In a closed vocabulary the words of the mirrored and of the negative picture follow from those of the plain one, and so
do the places of its features: three quarters of a question need not be sent.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.features.symmetry import Variant, with_places_of
from featmatch.search.asked import Asked
from featmatch.search.query_words import QueryWords


class Folded(NamedTuple):
    """A question.

    Attributes:
        asked: the question; its words and its features are those of the plain picture alone, if there are masks.
        masks: (V,) uint64, the bits in which signatures of each variant differ from those of the first; of no rows: all
            of the question is there.
    """

    asked: Asked
    masks: NDArray[np.uint64]

    def unfolded(self) -> Asked:
        """The whole question.

        Raises:
            ValueError: nothing follows from it.
        """
        if not len(self.masks):
            return self.asked
        if self.masks.ndim != 1 or len(self.masks) > len(Variant) or len(self.asked.variants) != 1:
            raise ValueError("a question has other variants than it says")
        words, variants = self.asked.words, list(Variant)[: len(self.masks)]
        count = len(variants)
        whole = QueryWords(
            ids=np.concatenate([words.ids ^ np.int32(variant) for variant in variants]),
            signatures=np.concatenate([words.signatures ^ mask for mask in self.masks]),
            weights=np.tile(words.weights, count),
            variants=np.repeat(np.arange(count, dtype=np.int32), len(words.ids)),
            features=np.tile(words.features, count),
            fixed=np.tile(words.fixed, count),
            nearest_first=words.nearest_first,
        )
        with np.errstate(all="ignore"):  # of a stranger's question, which is looked at afterwards
            places = [with_places_of(self.asked.features, variant) for variant in variants[1:]]
        return replace(self.asked, words=whole, variants=[self.asked.features, *places])


def folded(asked: Asked) -> Folded:
    """A question as it is sent: all of it, where it does not follow to the bit from a part."""
    whole = Folded(asked, np.empty(0, np.uint64))
    count, words = len(asked.variants), asked.words
    own = len(words.ids) // max(count, 1)
    if count < 2 or not own or own * count != len(words.signatures):
        return whole
    first = {field.name: getattr(words, field.name) for field in fields(words)}
    first = {name: value[:own] if isinstance(value, np.ndarray) else value for name, value in first.items()}
    plain = replace(asked, words=QueryWords(**first), variants=asked.variants[:1])
    part = Folded(plain, words.signatures[::own] ^ words.signatures[0])
    return part if _are_same(part.unfolded(), asked) else whole


def _are_same(one: Asked, other: Asked) -> bool:
    """Whether words and places of two questions are the same to the bit."""
    pairs: list[tuple[Any, Any]] = [(one.words, other.words), *zip(one.variants, other.variants, strict=True)]
    return all(
        _bits(getattr(a, field.name)) == _bits(getattr(b, field.name))
        for a, b in pairs
        for field in fields(a)
        if field.name != "picture"
    )


def _bits(value: object) -> object:
    return (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
