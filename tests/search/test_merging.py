"""The best of several indexes, as one index that holds all would have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from featmatch.features.looks import LOOK
from featmatch.search.merging import merged
from featmatch.search.shard import Tally
from featmatch.search.voting import Ranked
from featmatch.search.whole_search import Nearest
from featmatch.store.numbers import BY_INDEX

Pair = tuple[float, int, int]  # votes or distance, image, variant or form


def ranked(pairs: Sequence[Pair]) -> Ranked:
    votes, images, variants = (np.array(column) for column in zip(*pairs, strict=True)) if pairs else [np.empty(0)] * 3
    return Ranked(np.arange(len(pairs)), images.astype(int), variants.astype(int), votes.astype(np.float32))


def nearest(pairs: Sequence[Pair]) -> Nearest:
    one = ranked(pairs)
    sizes = np.full((len(pairs), 2), 9)
    return Nearest(one.votes.astype(int), one.images, one.variants, sizes, np.zeros(len(pairs), LOOK))


def tally(
    by_votes: Sequence[Pair], contents: Mapping[int, str], by_look: Sequence[Pair] = (), **verdicts: bool
) -> Tally:
    return Tally(ranked(by_votes), nearest(by_look), contents, verdicts)


def of(found: Ranked) -> list[tuple[float, tuple[int, int], int]]:
    images = map(BY_INDEX.place_of, found.images.tolist())
    return list(zip(found.votes.tolist(), images, found.variants.tolist(), strict=True))


def test_the_best_of_all_are_the_best_ties_go_to_the_index_that_was_named_first() -> None:
    first = tally([(5, 7, 0), (3, 1, 1), (2, 9, 0)], {7: "a", 1: "b", 9: "c"})
    second = tally([(6, 1, 0), (5, 2, 0), (3, 1, 1)], {1: "d", 2: "e"})
    found = merged({1: second, 0: first}, 5)
    assert of(found.ranked) == [(6, (1, 1), 0), (5, (0, 7), 0), (5, (1, 2), 0), (3, (0, 1), 1), (3, (1, 1), 1)]
    assert found.ranked.ranks.tolist() == [0, 1, 2, 3, 4]
    assert {BY_INDEX.place_of(number): content for number, content in found.contents.items()}[1, 2] == "e"
    parts = {place: (part.ranks.tolist(), part.images.tolist()) for place, part in found.of_each_shard(2)}
    assert parts == {0: ([1, 3], [7, 1]), 1: ([0, 2, 4], [1, 2, 1])}


def test_one_content_is_one_image_and_takes_one_place() -> None:
    first = tally([(5, 7, 0)], {7: "a"}, [(3, 7, 0), (3, 7, 4)])
    second = tally([(5, 2, 0), (4, 2, 1), (1, 3, 0)], {2: "a", 3: "b"}, [(3, 2, 0), (4, 3, 0)])
    found = merged({0: first, 1: second}, 3)
    assert of(found.ranked) == [(5, (0, 7), 0), (4, (0, 7), 1), (1, (1, 3), 0)]
    images, forms = found.nearest.images.tolist(), found.nearest.forms.tolist()
    assert list(zip(map(BY_INDEX.place_of, images), forms, strict=True)) == [((0, 7), 0), ((0, 7), 4), ((1, 3), 0)]


def test_what_the_catalogue_does_not_know_is_left_out() -> None:
    found = merged({0: tally([(5, 7, 0), (4, 8, 0)], {8: "a"}, [(1, 7, 0)])}, 9)
    assert of(found.ranked) == [(4, (0, 8), 0)]
    assert len(found.nearest.images) == 0
    nothing = merged({}, 9)
    assert (of(nothing.ranked), list(nothing.of_each_shard(2))) == ([], [])


def test_verdicts_are_of_contents_those_of_the_first_index_count() -> None:
    first, second = tally([(5, 7, 0)], {7: "a"}, a=False), tally([(5, 2, 0)], {2: "b"}, a=True, b=True, c=True)
    found = merged({0: first, 1: second}, 9)
    assert found.verdicts == {"a": False, "b": True, "c": True}
    assert found.verdicts_of_images == {7: False, BY_INDEX.number_of(1, 2): True}


def test_more_come_behind() -> None:
    found = merged({0: tally([(5, 7, 0)], {7: "a"})}, 9).with_more(merged({0: tally([(9, 1, 0)], {1: "b"})}, 9))
    assert (found.ranked.ranks.tolist(), found.ranked.images.tolist()) == ([0, 1], [7, 1])
    assert found.contents == {7: "a", 1: "b"}
