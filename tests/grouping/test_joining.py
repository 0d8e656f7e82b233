from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import StoreError, UsageError
from featmatch.features.symmetry import Variant
from featmatch.geometry.maps import project
from featmatch.geometry.matches import TentativeMatches
from featmatch.grouping import joining
from featmatch.grouping.joining import JoiningOptions, Partners, StoredImage, partners, stored_images
from featmatch.native.postings import Hits
from featmatch.search import candidates, voting
from featmatch.search.voting import Ranked
from featmatch.store.segment import MANY_FEATURES, Segment
from featmatch.words.vocabulary import Words
from tests.grouping.made import Made, image, segment, turned, vocabulary

OPTIONS = JoiningOptions()


def stored(segments: list[Segment], number: int) -> StoredImage:
    (found,) = stored_images(segments, [number], "sift")
    return found


class Partner(NamedTuple):
    """One of the partners of an image, with what they have in common, from that image to it and the other way round."""

    id: int
    variant: int
    distances: NDArray[np.int64]
    own_numbers: NDArray[np.int64]
    other_numbers: NDArray[np.int64]
    matches: TentativeMatches
    back: TentativeMatches


def found_by(
    segments: list[Segment], number: int, options: JoiningOptions = OPTIONS, hidden: tuple[int, ...] = ()
) -> list[Partner]:
    """The partners of an image among all others, by their ids."""
    among = [~np.isin(one.ids, (number, *hidden)) for one in segments]
    return apart(partners(stored(segments, number), segments, among, vocabulary(), options))


def apart(found: Partners) -> list[Partner]:
    there, back = (found.matches(np.full(len(found), way)) for way in (True, False))
    rows = [slice(*ends) for ends in pairwise(found.ends.tolist())]
    return [
        Partner(
            number, variant, found.distances[own], found.own.numbers[own], found.other.numbers[own],
            there[own], back[own],
        )
        for number, variant, own in zip(found.ids.tolist(), found.variants.tolist(), rows, strict=True)
    ]  # fmt: skip


def flipped(made: Made, bits: int, seed: int = 9) -> Made:
    """The same with so many bits of each signature the other way round."""
    random = np.random.default_rng(seed)
    masks = [sum(1 << int(bit) for bit in random.choice(64, bits, replace=False)) for _ in made.words.ids]
    return replace(made, words=Words(made.words.ids, made.words.signatures ^ np.array(masks, np.uint64)[:, None]))


@pytest.mark.parametrize(
    "wrong",
    [{"hamming_limit": -1}, {"hamming_limit": 33}, {"sigma": 0.0}, {"partners": 0}, {"partners": 2501},
     {"longest_list": 0}],
)  # fmt: skip
def test_options_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="joining options"):
        JoiningOptions(**wrong)


@pytest.mark.parametrize(
    "right",
    [{"hamming_limit": 0}, {"hamming_limit": 32}, {"sigma": 0.1}, {"partners": 1}, {"partners": 2500},
     {"longest_list": 1}],
)  # fmt: skip
def test_options_within_range(right: dict[str, Any]) -> None:
    JoiningOptions(**right)


def test_an_image_comes_back_as_it_was_stored() -> None:
    images = {number: image(number, 30 + number) for number in (3, 5, 9)}
    for number, made in images.items():
        got = stored([segment(images)], number)
        assert got.id == number
        assert (got.features.width, got.features.height, len(got.features)) == (400, 300, 30 + number)
        order = np.lexsort((made.features.keypoints[:, 0],))
        back = np.lexsort((got.features.keypoints[:, 0],))
        np.testing.assert_allclose(got.features.keypoints[back], made.features.keypoints[order], atol=0.01)
        np.testing.assert_allclose(got.features.sizes[back], made.features.sizes[order], rtol=0.03)
        off = got.features.angles[back] - made.features.angles[order]
        np.testing.assert_allclose(np.cos(off), 1, atol=1e-3)
        np.testing.assert_array_equal(got.words.ids[back], made.words.ids[order])
        np.testing.assert_array_equal(got.words.signatures[back], made.words.signatures[order])
        assert got.words.ids.dtype == np.int32


def test_images_come_from_all_segments_and_only_those_that_are_asked_for() -> None:
    segments = [segment({number: image(number, 20) for number in numbers}) for numbers in ((4, 2), (7,), (1, 6))]
    assert [one.id for one in stored_images(segments, [6, 2, 4, 99], "sift")] == [4, 2, 6]
    assert all(len(one.features) == 20 for one in stored_images(segments, [6, 2], "sift"))


def test_an_image_without_features_is_there_all_the_same() -> None:
    assert len(stored([segment({1: image(1, 0), 2: image(2, 5)})], 1).features) == 0


def test_the_order_of_features_does_not_depend_on_how_they_are_stored() -> None:
    made = image(1, 50)
    shuffled = np.random.default_rng(2).permutation(50)
    columns = {name: getattr(made.features, name)[shuffled] for name in ("keypoints", "sizes", "angles", "descriptors")}
    other = Made(replace(made.features, **columns), Words(made.words.ids[shuffled], made.words.signatures[shuffled]))
    one, same = stored([segment({5: made})], 5), stored([segment({8: image(4, 9), 5: other})], 5)
    for name in ("keypoints", "sizes", "angles"):
        np.testing.assert_array_equal(getattr(one.features, name), getattr(same.features, name))
    np.testing.assert_array_equal(one.words.signatures, same.words.signatures)


def test_a_posting_of_an_image_that_is_not_there_is_damage() -> None:
    damaged = segment({1: image(1, 20)})
    damaged.postings.image[3] = 9
    with pytest.raises(StoreError, match="damaged"):
        list(stored_images([damaged], [1], "sift"))


@pytest.mark.parametrize("variant", Variant)
def test_a_copy_is_found_in_its_variant_with_all_its_hits(variant: Variant) -> None:
    original, others = image(1), {number: image(number) for number in (3, 4, 5)}
    copy = original.moved(turned(30, 0.6)).in_variant(variant)
    segments = [segment({1: original, 3: others[3]}), segment({4: others[4], 2: copy, 5: others[5]})]
    first = next(one for one in found_by(segments, 2) if len(one.distances) > 60)
    assert (first.id, first.variant) == (1, variant)
    matches = first.matches
    true = matches.costs == 0  # others are hits by chance
    assert true.sum() == len(copy.features)
    # In the variant of the copy (mirrored again, say) all that is left is to turn and to enlarge it.
    np.testing.assert_allclose(matches.octaves[true], -np.log2(0.6), atol=0.1)
    np.testing.assert_allclose(np.cos(matches.rotation[true] - np.radians(-30)), 1, atol=0.01)
    back = project(turned(-30, 1 / 0.6), matches.query[true])
    np.testing.assert_allclose(back, matches.reference[true], atol=0.1)


@pytest.mark.parametrize("many", [MANY_FEATURES, 0])
def test_either_of_two_images_finds_the_same_hits(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "MANY_FEATURES", many)
    monkeypatch.setattr(joining, "_READ", 0)
    original = image(1)
    segments = [segment({1: original, 2: flipped(original.moved(turned(10)), 5), 3: image(3)})]
    one, other = (
        next(partner for partner in found_by(segments, number) if len(partner.distances) > 60) for number in (1, 2)
    )
    assert (one.id, other.id) == (2, 1)
    assert len(other.distances) == len(one.distances) > 80
    for there, again in ((one.matches, other.back), (one.back, other.matches)):
        for name in ("query", "reference", "rotation", "octaves", "costs"):
            np.testing.assert_array_equal(getattr(there, name), getattr(again, name))


def test_matches_are_the_nearest_first_and_know_their_features() -> None:
    original = image(1, 60)
    near, far = flipped(original, 3), flipped(original, 14, seed=5)
    partner = found_by([segment({1: original, 2: far.beside(near)})], 1)[0]
    matches = partner.matches
    assert (np.diff(matches.costs) >= 0).all()
    assert matches.costs[0] == 3
    assert len(matches.costs) == len(partner.distances) == 120
    assert len(set(matches.query_rows.tolist())) == 60  # each has two
    assert len(set(matches.reference_rows.tolist())) == 120
    for rows, points in ((matches.query_rows, matches.query), (matches.reference_rows, matches.reference)):
        for row in (0, 7):
            assert len(np.unique(points[rows == rows[row]], axis=0)) == 1


@pytest.mark.parametrize(("bits", "found"), [(22, True), (23, False)])
def test_signatures_may_differ_by_the_limit(bits: int, found: bool) -> None:
    original = image(1)
    partner = [
        one for one in found_by([segment({1: original, 2: flipped(original, bits)})], 1) if len(one.distances) > 60
    ]
    assert bool(partner) == found
    wide = found_by([segment({1: original, 2: flipped(original, bits)})], 1, JoiningOptions(hamming_limit=30))
    assert len(wide[0].distances) >= 120


def test_only_those_that_are_looked_among_are_found() -> None:
    original = image(1)
    segments = [segment({1: original, 2: original}), segment({3: original})]
    assert {one.id for one in found_by(segments, 1)} == {2, 3}
    assert {one.id for one in found_by(segments, 1, hidden=(2,))} == {3}


def test_lists_are_not_read_where_no_image_is_looked_among(monkeypatch: pytest.MonkeyPatch) -> None:
    original = image(1)
    segments = [segment({1: original, 2: original}), segment({3: original})]
    read: list[list[int]] = []

    def best_of_segment(one: Segment, *others: Any) -> tuple[Ranked, Hits | None]:
        read.append(one.ids.tolist())
        return voting.best_of_segment(one, *others)

    monkeypatch.setattr(joining, "best_of_segment", best_of_segment)
    assert {one.id for one in found_by(segments, 1, hidden=(2,))} == {3}
    assert found_by(segments, 1, hidden=(2, 3)) == []
    assert read == [[3]]


def test_words_that_many_features_have_are_passed_over() -> None:
    rare = image(1, 60)
    word = 4 * next(base for base in range(100) if base not in rare.words.ids // 4)
    signatures = image(2, 60).words.signatures
    frequent = replace(image(2, 60), words=Words(np.full((60, 1), word, np.int32), signatures))
    both = rare.beside(frequent)
    segments = [segment({1: both, 2: both})]
    assert np.sum(found_by(segments, 1, JoiningOptions(longest_list=120))[0].distances == 0) == 120
    assert np.sum(found_by(segments, 1, JoiningOptions(longest_list=119))[0].distances == 0) == 60


def test_the_best_go_on_and_the_number_of_them_is_an_option() -> None:
    original = image(1)
    part = [Made(original.features[:count], Words(original.words.ids[:count], original.words.signatures[:count]))
            for count in (40, 120, 80)]  # fmt: skip
    segments = [segment({1: original, **{2 + number: one for number, one in enumerate(part)}})]
    found = found_by(segments, 1, JoiningOptions(partners=2))
    assert [one.id for one in found] == [3, 4]
    assert len(found_by(segments, 1)) >= 3


def test_thirty_partners_go_on() -> None:
    original = image(1, 20)
    segments = [segment(dict.fromkeys(range(1, 41), original))]
    assert [one.id for one in found_by(segments, 1)] == list(range(2, 32))


def test_near_signatures_weigh_more_than_many() -> None:
    original, other = image(1), image(2)
    few = Made(original.features[:20], Words(original.words.ids[:20], original.words.signatures[:20]))
    rest = Made(other.features[:100], Words(other.words.ids[:100], other.words.signatures[:100]))
    segments = [segment({1: original, 2: flipped(original, 18), 3: few.beside(rest)})]
    assert [one.id for one in found_by(segments, 1, JoiningOptions(partners=1))] == [3]
    assert [one.id for one in found_by(segments, 1, JoiningOptions(partners=1, sigma=100.0))] == [2]


def test_rare_words_weigh_by_the_square_of_their_idf() -> None:
    def of_words(seed: int, count: int, first: int) -> Made:
        made = image(seed, count)
        return replace(made, words=Words(made.words.ids % 200 + 4 * first, made.words.signatures))

    rare, common = of_words(1, 20, 0), of_words(2, 50, 50)
    images = {1: rare.beside(common), 2: rare.beside(of_words(3, 100, 50)), 3: common.beside(of_words(4, 70, 50))}
    words = replace(vocabulary(), idf=np.repeat([3.0, 1.5], 50).astype(np.float32))
    segments = [segment(images)]
    among = [np.array([False, True, True])]
    found = partners(stored(segments, 1), segments, among, words, JoiningOptions(partners=1))
    assert found.ids.tolist() == [2]  # 20 of 9 are more than 50 of 2.25


def test_images_with_too_few_hits_take_no_others_place() -> None:
    original = image(1)
    few = Made(original.features[:2], Words(original.words.ids[:2], original.words.signatures[:2]))
    three = Made(original.features[:3], Words(original.words.ids[:3], original.words.signatures[:3]))
    segments = [segment({1: original, 2: few, 3: few, 4: few, 5: three.beside(image(9, 300))})]
    assert [one.id for one in found_by(segments, 1, JoiningOptions(hamming_limit=5, partners=1))] == [5]


@pytest.mark.parametrize("many", [MANY_FEATURES, 0])
def test_hits_are_the_same_however_few_are_in_memory_at_once(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "MANY_FEATURES", many)
    original, same = image(1), image(2, 80)
    words = Words(np.full((80, 1), same.words.ids[0, 0], np.int32), np.full((80, 1), 7, np.uint64))
    crowded = original.beside(replace(same, words=words))  # 80 features of one word: more hits than are kept
    images = {1: crowded, 2: flipped(original, 5), 3: crowded.moved(turned(10)), 4: original}
    segments = [segment(images), segment({5: crowded.in_variant(Variant.MIRRORED)}), segment({6: image(3)})]
    one = found_by(segments, 1)
    assert {2, 3, 4, 5} <= {there.id for there in one}
    assert max(len(there.distances) for there in one) < 80 * 80
    for name, value in ((joining, "_ROOM"), 0), ((candidates, "_HITS_AT_ONCE"), 1):
        monkeypatch.setattr(*name, value)
        for there, again in zip(one, found_by(segments, 1), strict=True):
            assert (there.id, there.variant) == (again.id, again.variant)
            np.testing.assert_array_equal(there.matches.query, again.matches.query)
            np.testing.assert_array_equal(there.back.reference, again.back.reference)


def test_an_image_without_features_has_no_partners() -> None:
    assert found_by([segment({1: image(1, 0), 2: image(2)})], 1) == []


# Large collections


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any collection is a large one, in which as many bits as may be must agree."""
    monkeypatch.setattr(joining, "MANY_FEATURES", 0)
    monkeypatch.setattr(joining, "_READ", 0)


def with_bits(made: Made, *bits: int) -> Made:
    """The same with some bits of each signature the other way round, 0 being the highest."""
    mask = np.uint64(sum(1 << 63 - bit for bit in bits))
    return replace(made, words=Words(made.words.ids, made.words.signatures ^ mask))


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    ("bits", "counted"),
    [((), 0), ((0,), 0), ((7,), 0), ((8,), 1), ((3, 20), 1), ((8, 9), 2), ((0, 1), None), ((6, 7), None)],
)
def test_hits_of_a_large_collection_agree_in_all_but_one_of_the_first_bits(
    bits: tuple[int, ...], counted: int | None
) -> None:
    original = image(1)
    images = {1: original, 2: with_bits(original, *bits)}
    for segments in ([segment(images)], [segment({number: one}) for number, one in images.items()]):
        true = [one for one in found_by(segments, 1, JoiningOptions(hamming_limit=10)) if len(one.distances) > 60]
        if counted is None:
            assert not true
        else:
            assert sorted(true[0].distances.tolist()) == [counted] * 120
            assert len(set(true[0].own_numbers.tolist())) == len(set(true[0].other_numbers.tolist())) == 120


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    ("bits", "counted"), [((), 0), ((2,), 0), ((3,), 1), ((0, 3), 1), ((3, 4, 5), 3), ((0, 1), None), ((1, 2), None)]
)
def test_where_lists_are_shorter_fewer_bits_must_agree(
    bits: tuple[int, ...], counted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = image(1)
    segments = [segment({1: original, 2: with_bits(original, *bits)})]
    # 240 features of 400 words are 0.6 a list: half of that is read if all but one of 3 bits agree.
    monkeypatch.setattr(joining, "_READ", 0.3)
    true = [one for one in found_by(segments, 1, JoiningOptions(hamming_limit=10)) if len(one.distances) > 60]
    assert [sorted(one.distances.tolist()) for one in true] == ([] if counted is None else [[counted] * 120])


def test_a_small_collection_is_read_wholly_however_long_its_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_READ", 0)
    original = image(1)
    partner = found_by([segment({1: original, 2: with_bits(original, 0, 1)})], 1)[0]
    assert np.sum(partner.distances == 2) == 120


def test_as_many_bits_must_agree_as_keep_what_is_read_the_same() -> None:
    words, bits = 65_536, [joining._agreeing_bits(millions * 1_000_000, 65_536) for millions in range(1, 2000)]
    assert bits[:19] == [0] * 19  # lists are read wholly
    assert sorted(set(bits)) == [0, 2, 3, 4, 5, 6, 7, 8]
    assert bits == sorted(bits)
    for millions, agreeing in enumerate(bits, 1):
        parts = 2.0 ** np.arange(9)
        read = (np.arange(9) + 1) / parts * millions * 1_000_000 / words
        assert agreeing == 8 or read[agreeing] <= 300
        assert (read[:agreeing] > 300).all()


@pytest.mark.usefixtures("large")
def test_words_that_are_common_only_as_the_collection_is_large_are_looked_up() -> None:
    original = image(1)
    found = found_by([segment({1: original, 2: original})], 1, JoiningOptions(longest_list=1))
    assert np.sum(found[0].distances == 0) == 120
