"""Visual words of a query -> votes -> the images with the most."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_options
from featmatch.errors import UsageError
from featmatch.features.symmetry import Variant
from featmatch.native.postings import Hits, QueryEntries, best, scan
from featmatch.search.query_words import QueryWords
from featmatch.store.segment import Segment

_MORE_BITS, _WIDER = 3, 1.6  # where bits are fixed, fewer hits are by chance, so those that are farther off vote, too
_MANY = 2_000_000  # postings; fewer are scanned before threads have begun
_KEPT_HITS = 1 << 20  # of all segments, 17 bytes each; where one has more than its share, they are looked up again
_KEPT_ANYWAY = 1 << 12  # of each call: hits are not spread evenly, and those of a small collection are few
_SAMPLED = 64  # of so many words the list of one is looked at, to say how many postings are read


@dataclass(frozen=True)
class VotingOptions:
    """How a query votes for images."""

    words: int = 3  # nearest words of each query feature that are looked up; 1 to 16
    hamming_limit: int = 22  # a hit differs in at most this many of 64 bits; 0 to 32
    voting_limit: int = 19  # hits that differ in at most this many vote; the others only match; 0 to 32
    sigma: float = 10.0  # bits; a hit at distance d weighs exp(-(d / sigma)^2); both are more in large collections
    shortlist: int = 100  # pairs of an image and a variant that go on to verification; 1 to 10000

    def __post_init__(self) -> None:
        check_options(self)
        limits_fit = 0 <= self.hamming_limit <= 32 and 0 <= self.voting_limit <= 32
        if not (1 <= self.words <= 16 and limits_fit and self.sigma > 0 and 1 <= self.shortlist <= 10_000):
            raise UsageError(f"voting options out of range: {self}")


class Ranked(NamedTuple):
    """Pairs of an image and a variant of the query, the most votes first; columns of N rows.

    Attributes:
        ranks: (N,) int64, the place of each among all that were found, from 0.
        images: (N,) int64, numbers.
        variants: (N,) int64, of ``Variant``.
        votes: (N,) float32, normalised.
    """

    ranks: NDArray[np.int64]
    images: NDArray[np.int64]
    variants: NDArray[np.int64]
    votes: NDArray[np.float32]

    @classmethod
    def of(cls, parts: Iterable[Ranked]) -> Ranked:
        """The pairs of several, one behind the other."""
        nothing = np.empty(0, np.int64)
        none = cls(nothing, nothing, nothing, np.empty(0, np.float32))
        return cls(*(np.concatenate(columns) for columns in zip(none, *parts, strict=True)))

    @classmethod
    def best(
        cls, images: NDArray[np.int64], variants: NDArray[np.int64], votes: NDArray[np.float32], count: int
    ) -> Ranked:
        """The best of some pairs. Ties go to the image with the lower number, and of one image to the first variant."""
        order = np.lexsort((variants, images, -votes))[:count]
        return cls(np.arange(len(order)), images[order], variants[order], votes[order])

    def part(self, rows: NDArray[Any] | slice) -> Ranked:
        """Some of them, by their rows or by a mask."""
        return Ranked(self.ranks[rows], self.images[rows], self.variants[rows], self.votes[rows])


def tally(
    query: QueryWords,
    variants: int,
    segments: Sequence[Segment],
    hidden: Sequence[NDArray[np.bool_]] | Sequence[NDArray[np.intp]],
    options: VotingOptions,
) -> tuple[Ranked, list[Hits | None]]:
    """Score all images under the first ``variants`` of ``Variant``, and find the best.

    Args:
        query: the words of all variants.
        variants: how many.
        segments: where to look.
        hidden: of each segment, the images that are not to be found: their rows, or a mask.
        options: the limits.

    Returns:
        The best; and of each segment the hits of all images, with those that only match, or None where they are too
        many to keep.
    """
    if len(query.ids) == 0:
        return Ranked.of([]), [None] * len(segments)
    distance_weights = weights_of_hits(query, options)
    # Votes of a segment and variant are added up by one thread: their sum does not depend on how many there are.
    looked_up, in_threads = [_LookedUp(0, 0, query.entries, variants)], are_worth_threads(query, segments)
    if in_threads:
        looked_up = [_LookedUp.of(query, variant) for variant in list(Variant)[:variants]]
    images = sum(len(segment.ids) for segment in segments)

    def best_of(part: tuple[int, _LookedUp]) -> tuple[Ranked, Hits | None]:
        number, one = part
        share = len(segments[number].ids) / max(images, 1) / len(looked_up)
        wanted = int(_KEPT_HITS * share) + _KEPT_ANYWAY, options.hamming_limit
        found, hits = best_of_segment(
            segments[number], one.entries, one.variants, hidden[number], distance_weights, options.shortlist, wanted
        )
        return found._replace(variants=found.variants + one.variant), hits

    with threads(in_threads) as each:
        parts = list(each(best_of, [(number, one) for number in range(len(segments)) for one in looked_up]))
    found = Ranked.of(own for own, _ in parts)
    best_of_all = Ranked.best(found.images, found.variants, found.votes, options.shortlist)
    calls = len(looked_up)  # for each segment
    hits = [[own for _, own in parts[begin : begin + calls]] for begin in range(0, len(parts), calls)]
    return best_of_all, [_hits_of_all(looked_up, own) for own in hits]


class _LookedUp(NamedTuple):
    """What one call looks up in a segment.

    Attributes:
        variant: the first of those that it is for.
        first: the number of its first entry among those of the query.
        entries: one variant after the other.
        variants: how many they are for.
    """

    variant: int
    first: int
    entries: QueryEntries
    variants: int

    @classmethod
    def of(cls, query: QueryWords, variant: Variant) -> _LookedUp:
        """What one variant looks up."""
        first = int(np.searchsorted(query.variants, variant))
        return cls(int(variant), first, query.of_variant(variant).entries, 1)


def _hits_of_all(looked_up: Sequence[_LookedUp], hits: Sequence[Hits | None]) -> Hits | None:
    """The hits of a segment, by what several calls found; None where one of them found too many."""
    found = [(one.first, own) for one, own in zip(looked_up, hits, strict=True) if own is not None]
    return Hits.joined(found) if len(found) == len(looked_up) else None


def best_of_segment(
    segment: Segment,
    entries: QueryEntries,
    variants: int,
    hidden: NDArray[np.bool_] | NDArray[np.intp],
    distance_weights: NDArray[np.float32],
    count: int,
    wanted: tuple[int, int],
) -> tuple[Ranked, Hits | None]:
    """The best so many of one segment, and those that are as good as the last; their ranks are not told.

    Args:
        segment: where to look.
        entries: what to look up, under so many ``variants``.
        variants: how many the query has.
        hidden: the images that are not to be found: their rows, or a mask.
        distance_weights: as of ``weights_of_hits``.
        count: of images to find.
        wanted: how many hits at most, and the bits in which these may differ, where fewer vote.

    Returns:
        The best; and the hits of all images, hidden ones too, None where there are more than are ``wanted``.
    """
    votes = np.zeros((variants, len(segment.ids)), np.float32)
    hits = scan(segment.for_kernels, entries, distance_weights, votes, *wanted)
    if hidden.dtype == bool:
        np.copyto(votes, 0, where=hidden)  # many times as quick as by index, where nearly all are hidden
    else:
        votes[:, hidden] = 0
    places, scores = best(votes, segment.weights, count)
    of_variant, rows = np.divmod(places, max(len(segment.ids), 1))
    return Ranked(np.zeros_like(places), segment.ids[rows], of_variant, scores), hits


def weights_of_hits(query: QueryWords, options: VotingOptions) -> NDArray[np.float32]:
    """(D,) float32: how much a hit counts at each distance at which it votes."""
    is_firm = bool(query.fixed.any())
    limit = min(options.voting_limit + is_firm * _MORE_BITS, options.hamming_limit)
    sigma = options.sigma * (_WIDER if is_firm else 1)
    return np.exp(-((np.arange(limit + 1) / sigma) ** 2)).astype(np.float32)


@contextlib.contextmanager
def threads(in_threads: bool) -> Iterator[Callable[..., Iterator[Any]]]:
    """A ``map``: one that works in threads, or not."""
    if not in_threads:
        yield map
        return
    with ThreadPoolExecutor(_cores()) as pool:
        yield pool.map


def are_worth_threads(query: QueryWords, segments: Sequence[Segment]) -> bool:
    """Whether there is enough to scan, and more than one core."""
    return _cores() > 1 and sum(_about_read(one, query) for one in segments) > _MANY


def _about_read(segment: Segment, query: QueryWords) -> int:
    """About how many postings of a segment a query reads, by some of its words."""
    lists, ids = segment.lists, query.ids[::_SAMPLED]
    lengths = lists[ids + 1].astype(np.int64) - lists[ids]
    return int((lengths >> np.bitwise_count(query.fixed[::_SAMPLED])).sum()) * _SAMPLED


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hidden_rows(segment: Segment, removed: frozenset[int], among: Sequence[int] | None) -> NDArray[np.intp]:
    """Rows of a segment whose images are not to be found: they were removed, or others alone are looked for."""
    parts = [np.empty(0, np.intp)]
    if removed:
        parts.append(np.flatnonzero(np.isin(segment.ids, np.fromiter(removed, np.int64))))
    if among is not None:
        parts.append(np.flatnonzero(np.isin(segment.ids, np.asarray(among, np.int64), invert=True)))
    return np.concatenate(parts)
