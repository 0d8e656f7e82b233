"""Searching posting lists in C: query words -> votes -> the best images -> their hits. The hot loop of a search."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError, UsageError
from featmatch.native.library import address, library

_NO_LIST, _NO_IMAGE = -2, -3  # as returned by the kernels
_SCORED = 64  # images whose scores the kernel looks at together
_LISTS = 32  # posting lists that it bisects side by side
_WAITING = 1 << 10  # hits that it counts together; where it sorts them, all of one list at least
_HITS = 1 << 12  # room for so many at first
_ROWS = 1 << 18  # postings that are gone through at a time, since all of them might be wanted


@dataclass(frozen=True, eq=False)
class PostingLists:
    """The posting lists of W words in CSR form, of P postings; each list in S parts by the highest bits of signatures.

    Attributes:
        offsets: (W * S + 1,) uint32, part p of the list of word w is the rows ``offsets[w * S + p]`` up to the next of
            these; in it are the postings whose signatures begin with p.
        images: (P,) uint32, ascending within each part.
        signatures: (P,) uint64.
        parts: S; 1, 2, 4, or so on to 256.
    """

    offsets: NDArray[np.uint32]
    images: NDArray[np.uint32]
    signatures: NDArray[np.uint64]
    parts: int = 1

    @cached_property
    def for_kernels(self) -> _Lists:
        """Where the columns lie; checked once for all variants of a query."""
        _check_lengths(self.images, self.signatures)
        return _Lists(
            address(self.offsets, np.uint32), address(self.images, np.uint32), address(self.signatures, np.uint64),
            (len(self.offsets) - 1) // max(self.parts, 1), self.parts, len(self.images),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class QueryEntries:
    """The words that a query looks up, in flat columns of Q rows.

    Attributes:
        words: (Q,) int32.
        signatures: (Q,) uint64.
        weights: (Q,) float32, what a hit counts: idf squared.
        fixed: (Q,) uint8, in which of the 8 highest bits of its signature no hit may differ; 0: it may in all.
        variants: (Q,) int32, of the query: in which row of votes a hit counts.
        nearest_first: whether of several hits of a word in an image the nearest counts whole, which does not depend on
            how lists lie; else the first in the list, if that is in one part.
        all_but_one: whether a hit may differ in one of its fixed bits after all; that bit does not count.
    """

    words: NDArray[np.int32]
    signatures: NDArray[np.uint64]
    weights: NDArray[np.float32]
    fixed: NDArray[np.uint8]
    variants: NDArray[np.int32]
    nearest_first: bool = False
    all_but_one: bool = False

    @cached_property
    def for_kernels(self) -> _Query:
        """Where the columns lie; looked at and checked once for all segments and indexes."""
        _check_lengths(self.words, self.signatures, self.weights, self.fixed, self.variants)
        return _Query(
            address(self.words, np.int32), address(self.signatures, np.uint64), address(self.weights, np.float32),
            address(self.fixed, np.uint8), address(self.variants, np.int32), len(self.words), self.nearest_first,
            self.all_but_one,
        )  # fmt: skip


class Hits(NamedTuple):
    """Postings of some images whose signatures are near to those of a query, in flat columns of H rows.

    Attributes:
        entries: (H,) int32, which of the query's entries; ascending.
        rows: (H,) int64, which of the postings; ascending for each entry, but for parts that differ in a fixed bit:
            these come last.
        images: (H,) uint32, their images.
        distances: (H,) uint8, how many bits differ, and count.
    """

    entries: NDArray[np.int32]
    rows: NDArray[np.int64]
    images: NDArray[np.uint32]
    distances: NDArray[np.uint8]

    @classmethod
    def room(cls, count: int) -> Hits:
        """Columns of so many rows, which hold anything."""
        return cls(
            np.empty(count, np.int32), np.empty(count, np.int64), np.empty(count, np.uint32), np.empty(count, np.uint8)
        )

    @classmethod
    def joined(cls, parts: Sequence[tuple[int, Hits]]) -> Hits:
        """The hits of several runs of a query's entries, which ascend, each with the number of its first entry."""
        if len(parts) == 1 and parts[0][0] == 0:
            return parts[0][1]
        entries = [hits.entries + np.int32(first) for first, hits in parts]
        _, *columns = zip(*(hits for _, hits in parts), strict=True)
        return cls(np.concatenate(entries), *map(np.concatenate, columns))

    def first(self, count: int) -> Hits:
        """The first so many."""
        return self.at(slice(count))

    def at(self, places: NDArray[np.intp] | slice) -> Hits:
        """Some of them, by their places."""
        return Hits(self.entries[places], self.rows[places], self.images[places], self.distances[places])


def scan(
    lists: PostingLists,
    query: QueryEntries,
    distance_weights: NDArray[np.float32],
    votes: NDArray[np.float32],
    room: int = 0,
    limit: int = 0,
) -> Hits | None:
    """Scan the posting list of each query word, and add up the votes of the hits.

    A hit is a posting whose signature differs from the query's in no fixed bit, or in one where that is allowed, and of
    the other bits in fewer than ``distance_weights`` has entries: few do, and only of those is the image looked up. Of
    the hits of one query word in the same image, the k-th adds sqrt(k) - sqrt(k - 1) of its weight, so that repeated
    structure counts by its square root (burstiness: Jegou, Douze and Schmid, CVPR 2009). Fixed bits are taken as part
    of the word: hits that differ in another of them are damped apart. With the nearest first, votes are the same to
    the bit in however many parts lists are.

    Args:
        lists: where to look.
        query: what to look up.
        distance_weights: (D,) float32, weight of a hit at each Hamming distance; 1 or more of them.
        votes: (variants, images) float32, changed in place.
        room: how many hits are wanted at most.
        limit: bits in which the signature of one that is wanted may differ, where fewer have votes.

    Returns:
        The hits, of all images, as of ``hits_of``; None where there are more than ``room``.

    Raises:
        StoreError: a hit names an image that is not there, or a list is not within the postings; some votes are
            counted.
        UsageError: an array is of another type, or of another length than its neighbours; or there is no row of votes
            for a variant.
    """
    columns = ctypes.byref(lists.for_kernels), ctypes.byref(query.for_kernels)  # checked by now
    is_sorted = query.nearest_first or lists.parts > 1
    keys = np.empty((2, _WAITING + (_longest(lists, query.words) if is_sorted else 0)), np.uint64)
    first, hits = address(keys, np.uint64, 2, written=True), Hits.room(room)
    found = library().featmatch_scan(
        *columns, address(distance_weights, np.float32), len(distance_weights), limit,
        first, first + keys.strides[0], keys.shape[1],
        address(votes, np.float32, 2, written=True), *votes.shape, _columns(hits),
    )  # fmt: skip
    _check(found)
    return hits.first(found) if found <= room else None


def best(
    votes: NDArray[np.float32], weights: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the images with the largest weighted votes, among those with any, under whichever variant.

    Args:
        votes: (variants, images) float32, 0 or more.
        weights: (images,) float32, more than 0.
        count: how many to find, 1 or more; with them come those that are as good as the last.

    Returns:
        Their places (N,) int64 in the flat votes (variant * images + image), ascending; and votes * weights (N,)
        float32.

    Raises:
        UsageError: an array is of another type, or they are not of one length; or ``count`` is less than 1.
    """
    begin = address(votes, np.float32, 2)
    variants, count_of_images = votes.shape
    if count_of_images != len(weights):
        raise UsageError(f"votes for {count_of_images} images do not fit {len(weights)} weights")
    heap, above = np.empty(max(count, 0), np.float32), np.empty(variants * -(-len(weights) // _SCORED), np.uint8)
    images = np.empty(2 * len(heap), np.int64)
    while True:
        found = library().featmatch_best(
            begin, variants, address(weights, np.float32), len(weights),
            address(heap, np.float32, written=True), count, address(above, np.uint8, written=True), len(above),
            address(images, np.int64, written=True), len(images),
        )  # fmt: skip
        _check(found)
        if found <= len(images):
            places = images[:found]
            return places, votes.ravel()[places] * weights[places % max(len(weights), 1)]
        images = np.empty(found, np.int64)


def hits_of(lists: PostingLists, query: QueryEntries, limit: int, images: NDArray[np.uint32]) -> Hits:
    """Look a few images up in the posting lists of a query, and find their hits.

    Args:
        lists: where to look.
        query: what to look up; its weights do not matter.
        limit: bits in which the signature of a hit may differ, 0 to 64.
        images: (N,) uint32, ascending.

    Raises:
        StoreError: a list is not within the postings.
        UsageError: an array is of another type, or of another length than its neighbours.
    """
    starts = np.empty(_LISTS * len(images), np.int64)
    room = _HITS
    while True:
        hits = Hits.room(room)
        found = library().featmatch_hits(
            ctypes.byref(lists.for_kernels), ctypes.byref(query.for_kernels), limit,
            address(images, np.uint32), len(images),
            address(starts, np.int64, written=True), len(starts), _columns(hits),
        )  # fmt: skip
        _check(found)
        if found <= room:
            return hits.first(found)
        room = found


def rows_of(images: NDArray[np.uint32], wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The postings of some images, in one pass over those of all.

    Args:
        images: (P,) uint32, of each posting.
        wanted: (images,) bool, which are looked for.

    Returns:
        (N,) int64, their rows, ascending.

    Raises:
        StoreError: a posting names an image that is not there.
        UsageError: an array is of another type.

    >>> rows_of(np.array([2, 0, 1, 2], np.uint32), np.array([True, False, True])).tolist()
    [0, 1, 3]
    """
    parts = [np.empty(0, np.int64)]
    room = np.empty(min(len(images), _ROWS), np.int64)
    for start in range(0, len(images), _ROWS):
        some = images[start : start + _ROWS]
        found = library().featmatch_rows(
            address(some, np.uint32), len(some), address(wanted, np.bool_), len(wanted),
            address(room, np.int64, written=True), len(room),
        )  # fmt: skip
        _check(found)
        parts.append(start + room[:found])
    return np.concatenate(parts)


def postings_of(lists: PostingLists, query: QueryEntries) -> int:
    """How many postings a query reads.

    >>> from dataclasses import replace
    >>> lists = PostingLists(np.array([0, 2, 2, 9, 9], np.uint32), np.zeros(9, np.uint32), np.zeros(9, np.uint64), 2)
    >>> one = np.ones(3, np.float32)
    >>> fixed = np.array([0, 128, 0], np.uint8)
    >>> query = QueryEntries(np.array([0, 1, 1], np.int32), np.zeros(3, np.uint64), one, fixed, np.zeros(3, np.int32))
    >>> postings_of(lists, query), postings_of(replace(lists, offsets=np.array([0, 2, 9]), parts=1), query)
    (16, 16)
    """
    parts = parts_read(lists, query)
    return int((lists.offsets[parts + 1].astype(np.int64) - lists.offsets[parts]).sum())


def parts_read(lists: PostingLists, query: QueryEntries) -> NDArray[np.int64]:
    """The places among the offsets of all parts of lists that a query reads, entry by entry."""
    bits, parts = lists.parts.bit_length() - 1, np.arange(lists.parts)
    first = (query.signatures >> np.uint64(32) >> np.uint64(32 - bits)).astype(np.int64)
    fixed = query.fixed.astype(np.int64) >> (8 - bits)
    turned = np.bitwise_count((first[:, None] ^ parts) & fixed[:, None])
    entries, read = np.nonzero(turned <= query.all_but_one)
    return np.asarray(query.words[entries].astype(np.int64) * lists.parts + read)


def _longest(lists: PostingLists, words: NDArray[np.int32]) -> int:
    """How many postings the longest of some lists has at most; where a word is none, any number."""
    count = (len(lists.offsets) - 1) // lists.parts
    if not len(words) or count < 1:
        return 0
    first = np.clip(words.astype(np.int64), 0, count - 1) * lists.parts
    lengths = lists.offsets[first + lists.parts].astype(np.int64) - lists.offsets[first]
    return min(max(0, int(lengths.max())), len(lists.images))


class _Lists(ctypes.Structure):
    """``posting_lists`` of postings.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("offsets", "images", "signatures")),
        ("words", ctypes.c_int64), ("parts", ctypes.c_int64), ("postings", ctypes.c_int64),
    )  # fmt: skip


class _Query(ctypes.Structure):
    """``query_entries`` of postings.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("words", "signatures", "weights", "fixed", "variants")),
        *((name, ctypes.c_int64) for name in ("count", "nearest_first", "all_but_one")),
    )  # fmt: skip


class _Columns(ctypes.Structure):
    """``hit_columns`` of postings.c."""

    _fields_ = (*((name, ctypes.c_void_p) for name in Hits._fields), ("capacity", ctypes.c_int64))


def _columns(hits: Hits) -> Any:
    columns = (address(column, column.dtype, written=True) for column in hits)
    return ctypes.byref(_Columns(*columns, len(hits.rows)))


def _check_lengths(*columns: NDArray[Any]) -> None:
    if len({len(column) for column in columns}) > 1:
        raise UsageError(f"columns of one length are needed, not of {[len(column) for column in columns]}")


def _check(found: int) -> None:
    if found == _NO_LIST:
        raise StoreError("the index is damaged: a posting list is not within the postings")
    if found == _NO_IMAGE:
        raise StoreError("the index is damaged: a posting names an image that is not there")
    if found < 0:
        raise UsageError(f"nothing can be searched so ({found})")
