from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from featmatch.geometry.maps import Matrix
from featmatch.grouping.clustering import Cluster, cluster
from featmatch.grouping.pairs import Pair
from featmatch.grouping.placing import ImageSize, Placed
from tests.grouping.made import pair, scaled

SIZE = (400, 300)
FINER = {0: (800, 600), 1: (400, 300), 2: (267, 200)}  # one frame at three sizes


def clusters(
    count: int,
    *given: Pair,
    verdicts: dict[tuple[int, int], bool] | None = None,
    sizes: dict[int, tuple[int, int]] | None = None,
) -> list[Cluster]:
    """Groups of images whose contents are in the order of their numbers."""
    images = {number: ImageSize(*(sizes or {}).get(number, SIZE), f"{number:064x}") for number in range(count)}
    return cluster(images, {one.key: one for one in given}, "sift", verdicts or {})


def joined(count: int, *given: Pair, verdicts: dict[tuple[int, int], bool] | None = None) -> list[list[int]]:
    return [sorted(found.members) for found in clusters(count, *given, verdicts=verdicts)]


def test_copies_are_joined_through_others() -> None:
    assert joined(5, pair(0, 1, np.eye(3)), pair(1, 2, np.eye(3)), pair(3, 4, np.eye(3))) == [[0, 1, 2], [3, 4]]


def test_a_collage_belongs_to_one_of_the_pictures_that_it_shows() -> None:
    # Image 2 shows 0 and 1 side by side, at half their size.
    left = pair(0, 2, scaled(2), covered_b=0.4)
    right = pair(1, 2, scaled(2, x=-400), covered_b=0.4)
    found = joined(3, left, right)
    assert len(found) == 1
    assert len(found[0]) == 2


def test_pictures_that_hold_parts_of_a_third_stay_apart() -> None:
    parts = [pair(0, other, np.eye(3), covered_a=0.3, covered_b=0.3) for other in (1, 2)]
    copies = [pair(1, 3, np.eye(3)), pair(2, 4, np.eye(3))]
    assert joined(5, *parts, *copies) == [[1, 3], [2, 4]]


def test_what_many_pictures_hold_is_a_stamp() -> None:
    held = [pair(0, other, scaled(4), covered_b=0.1) for other in range(1, 12)]
    assert joined(12, *held[:4]) == [[0, 1, 2, 3, 4]]
    assert joined(12, *held) == []


def test_a_weak_pair_joins_no_two_groups() -> None:
    weak = dataclasses.replace(pair(0, 2, np.eye(3)), evenness=0.45)
    assert 0.8 < weak.probability("sift") < 0.95
    assert joined(3, weak) == [[0, 2]]
    assert joined(4, weak, pair(0, 1, np.eye(3)), pair(2, 3, np.eye(3))) == [[0, 1], [2, 3]]


def test_verdicts_part_and_join() -> None:
    chain = [pair(0, 1, np.eye(3)), pair(1, 2, np.eye(3))]
    assert joined(3, *chain, verdicts={(0, 1): False}) == [[1, 2]]
    assert len(joined(3, *chain, verdicts={(0, 2): False})[0]) == 2
    assert joined(3, verdicts={(0, 2): True}) == [[0, 2]]


def test_pairs_of_sisters_join_no_groups_unless_the_user_says_so() -> None:
    images = {number: ImageSize(*SIZE, f"{number:064x}") for number in range(4)}
    given = {one.key: one for one in (pair(*key, np.eye(3)) for key in ((0, 1), (0, 2), (1, 2), (2, 3)))}

    def joined_but_for(*told: tuple[int, int], accepted: tuple[int, int] | None = None) -> list[list[int]]:
        verdicts = {accepted: True} if accepted else {}
        found = cluster(images, given, "sift", verdicts, are_sisters=lambda one: one.key in told)
        return [sorted(group.members) for group in found]

    assert joined_but_for() == [[0, 1, 2, 3]]
    assert joined_but_for((0, 2)) == [[0, 1], [2, 3]]  # 0 and 2 are the originals; 1 and 2 do not join them either
    assert joined_but_for((1, 2)) == [[0, 1, 2, 3]]  # some other pair joins them
    assert joined_but_for(*given) == []
    assert joined_but_for(*given, accepted=(0, 2)) == [[0, 2]]


def original(*given: Pair, sizes: dict[int, tuple[int, int]] | None = None) -> int:
    (found,) = clusters(1 + max(max(one.key) for one in given), *given, sizes=sizes)
    return found.original


def placed(matrix: Matrix | None, *, probability: float = 0.9, inliers: int = 30, **facts: bool) -> Placed:
    return Placed(matrix, facts.pop("mirrored", False), facts.pop("negative", False), probability, inliers, **facts)


def test_a_group_can_be_based_on_another_original() -> None:
    group = Cluster(
        1, {1: placed(np.eye(3), probability=1.0, inliers=1 << 30), 2: placed(scaled(2)), 3: placed(scaled(4))}
    )
    based = group.based_on(2)
    assert (based.original, list(based.members)) == (2, [1, 2, 3])
    for number, factor in ((1, 0.5), (2, 1), (3, 2)):
        homography = based.members[number].homography
        assert homography is not None
        np.testing.assert_allclose(homography, scaled(factor))
    assert based.members[2].probability == 1
    assert based.members[1].probability == 0.9
    assert based.members[3].probability == pytest.approx(0.81)


@pytest.mark.parametrize("choice", [0, 1])
def test_originals_can_be_chosen(choice: int) -> None:
    images = {number: ImageSize(*SIZE, f"{number:064x}") for number in range(5)}
    given = (pair(0, 1, scaled(1.1)), pair(3, 4, np.eye(3)))
    asked: list[Sequence[Cluster]] = []

    def choose(groups: Sequence[Cluster]) -> list[int]:
        asked.append(groups)
        return [sorted(group.members)[choice] for group in groups]

    found = cluster(images, {one.key: one for one in given}, "sift", {}, choose)
    assert [group.original for group in found] == ([0, 3] if choice == 0 else [1, 4])
    assert len(asked) == 1
    (other,) = found[0].members.keys() - {found[0].original}
    homography = found[0].members[other].homography
    assert homography is not None
    np.testing.assert_allclose(homography, scaled(1.1 if choice == 0 else 1 / 1.1))


@pytest.mark.parametrize(
    ("factor", "covered", "expected"),
    [
        (1.21, (0.9, 0.9), 0),  # the finer one
        (1 / 1.21, (0.9, 0.9), 1),
        (1.21, (0.9, 0.6), 0),
        (1 / 1.19, (0.6, 0.9), 0),  # about as fine: the one that shows more
        (1.19, (0.9, 0.6), 1),
        (1 / 1.19, (0.79, 0.9), 0),
        (1 / 1.19, (0.81, 0.9), 1),  # both show all: the finer one again
        (1.05, (0.9, 0.8), 0),
        (1.019, (1.0, 1.0), 0),  # the same size: by content
        (1 / 1.019, (1.0, 1.0), 0),
        (1 / 1.021, (1.0, 1.0), 1),
        (1.0, (0.6, 0.6), 0),
        (1.0, (0.5, 0.5), 0),
    ],
)
def test_the_better_of_two_copies(factor: float, covered: tuple[float, float], expected: int) -> None:
    assert original(pair(0, 1, scaled(factor), *covered)) == expected
    assert original(pair(1, 0, scaled(1 / factor), *covered[::-1])) == expected  # whichever is looked up


@pytest.mark.parametrize(("factor", "holds"), [(1.19, False), (1.21, True)])
def test_what_holds_a_finer_picture_is_no_larger_view_of_it(factor: float, holds: bool) -> None:
    """Image 0 is a small part of 1: a crop, or if it is finer, what was pasted there."""
    for one in (pair(0, 1, scaled(factor), 1.0, 0.3), pair(1, 0, scaled(1 / factor), 0.3, 1.0)):
        (found,) = clusters(2, one)
        assert found.original == (0 if holds else 1)
        assert found.members[1].holder == holds
        assert not found.members[0].holder


@pytest.mark.parametrize(("covered", "together"), [((0.51, 0.3), True), ((0.49, 0.49), False), ((0.3, 0.51), True)])
def test_half_of_one_original_lies_in_the_other(covered: tuple[float, float], together: bool) -> None:
    assert joined(2, pair(0, 1, np.eye(3), *covered)) == ([[0, 1]] if together else [])


def test_pictures_that_do_not_touch_stay_apart() -> None:
    assert joined(2, pair(0, 1, scaled(1, 401))) == []
    assert joined(2, pair(0, 1, scaled(1, 399))) == [[0, 1]]


@pytest.mark.parametrize(("count", "stays"), [(8, True), (9, False)])
def test_eight_pictures_may_hold_an_original(count: int, stays: bool) -> None:
    held = [pair(0, other, scaled(4), covered_b=0.1) for other in range(1, 1 + count)]
    assert joined(count + 1, *held) == ([list(range(count + 1))] if stays else [])
    copy = pair(0, count + 1, np.eye(3))
    assert joined(count + 2, *held, copy) == ([list(range(count + 2))] if stays else [[0, count + 1]])


def test_a_holder_with_copies_of_its_own_stays_with_them() -> None:
    held, copy = pair(0, 1, scaled(4), covered_b=0.1), pair(1, 2, np.eye(3))
    assert joined(4, held, copy, pair(0, 3, np.eye(3))) == [[0, 3], [1, 2]]
    (found,) = clusters(3, held, copy)  # what has no copies itself goes with them
    assert (found.original, sorted(found.members)) == (1, [0, 1, 2])
    assert not any(member.holder for member in found.members.values())


def zoomed(zoom: int, view: int, x: float = -200, share: float = 0.3) -> Pair:
    """The view's middle, or the part that starts at half of -x, is all of the zoom at twice the size."""
    return pair(zoom, view, scaled(2, x, -150), covered_b=share)


@pytest.mark.parametrize(("share", "together"), [(0.21, True), (0.19, False), (0.49, True)])
def test_zooms_with_copies_go_with_the_pictures_that_they_are_zooms_of(share: float, together: bool) -> None:
    copies = [pair(0, 1, np.eye(3)), pair(2, 3, np.eye(3))]
    for one in (zoomed(0, 2, share=share), pair(2, 0, scaled(0.5, 100, 75), share)):  # whichever is looked up
        found = clusters(4, one, *copies)
        assert [sorted(group.members) for group in found] == ([[0, 1, 2, 3]] if together else [[0, 1], [2, 3]])
        if together:
            assert found[0].original == 2
            assert not any(member.holder for member in found[0].members.values())


@pytest.mark.parametrize(("x", "together"), [(-310, True), (-330, False)])
def test_further_zooms_overlap_those_that_are_there(x: float, together: bool) -> None:
    """Image 0 is a zoom of the left half of 2, px 0 to 200; 4 is one of the 200 px from half of -x on."""
    copies = [pair(0, 1, np.eye(3)), pair(2, 3, np.eye(3)), pair(4, 5, np.eye(3))]
    further = dataclasses.replace(zoomed(4, 2, x), geometry=80.0)  # so it comes after the first
    found = joined(6, zoomed(0, 2, 0), further, *copies)
    assert found == ([[0, 1, 2, 3, 4, 5]] if together else [[0, 1, 2, 3], [4, 5]])


def test_each_zoom_overlaps_all_that_are_there() -> None:
    """The second zoom overlaps the first; the third one the second only."""
    copies = [pair(one, one + 1, np.eye(3)) for one in (0, 2, 4, 6)]
    zooms = [zoomed(0, 2, 0), *(
        dataclasses.replace(zoomed(image, 2, x), geometry=geometry)
        for image, x, geometry in ((4, -300, 80.0), (6, -400, 70.0))
    )]  # fmt: skip
    assert joined(8, *zooms, *copies) == [[0, 1, 2, 3, 4, 5], [6, 7]]


def test_zooms_that_came_with_their_view_are_overlapped_too() -> None:
    """Image 4 is a zoom of 6 and comes first; then 6 and its copy join 2; a zoom of another part of 2 stays apart."""
    copies = [pair(one, one + 1, np.eye(3)) for one in (0, 2, 4, 6)]
    views = dataclasses.replace(pair(2, 6, np.eye(3), 0.7, 0.7), geometry=80.0)
    last = dataclasses.replace(zoomed(0, 2, -400), geometry=70.0)
    assert joined(8, zoomed(4, 6, 0), views, last, *copies) == [[0, 1], [2, 3, 4, 5, 6, 7]]


@pytest.mark.parametrize(("width", "together"), [(290, True), (270, False)])
def test_pictures_that_share_a_part_with_a_third_must_have_most_in_common(width: int, together: bool) -> None:
    """Image 0 is the upper left of 1 and of 3, which would lie on one another, but have no pair of their own."""
    given = [pair(0, 1, np.eye(3), 1.0, 0.45), pair(1, 2, np.eye(3)), pair(0, 3, np.eye(3), 1.0, 0.45)]
    found = clusters(4, *given, sizes={0: (width, width * 3 // 4)})
    assert [sorted(group.members) for group in found] == ([[0, 1, 2, 3]] if together else [[0, 1, 2]])


@pytest.mark.parametrize(("factor", "expected"), [(1.40, 0), (1.43, 1)])
def test_where_the_rest_is_plain_the_one_that_shows_more_stands_for_both(factor: float, expected: int) -> None:
    """The finer image 0 shows nearly all features of 1, but half of its area."""
    assert original(pair(0, 1, scaled(factor), 1.0, 0.84)) == expected
    assert original(pair(1, 0, scaled(1 / factor), 0.84, 1.0)) == expected


@pytest.mark.parametrize(("families", "covered", "stays"), [(8, 0.5, True), (9, 0.5, False), (8, 0.49, False)])
def test_holders_that_are_copies_count_once(families: int, covered: float, stays: bool) -> None:
    held = [pair(0, other, scaled(4), covered_b=0.1) for other in range(1, families + 3)]
    chain = [pair(1, 2, np.eye(3), covered, 0.6), pair(3, 2, np.eye(3), 0.6, covered)]
    later = [dataclasses.replace(one, geometry=80.0) for one in chain]  # after all have become holders
    assert joined(families + 3, *held, *later) == ([list(range(families + 3))] if stays else [])
    unproven = [dataclasses.replace(one, evenness=0.3) for one in later]
    assert joined(families + 3, *held, *unproven) == []


def test_whole_copies_are_joined_before_others() -> None:
    """Images 0 and 1 stay apart; 2 goes with the one whose pair comes first."""
    apart = {(0, 1): False}

    def with_both(first: Pair, second: Pair) -> list[list[int]]:
        return joined(3, first, second, verdicts=apart)

    def with_share(one: Pair, share: float) -> Pair:
        parts = {name: dataclasses.replace(getattr(one, name), share=share) for name in ("in_reference", "in_query")}
        return dataclasses.replace(one, **parts)

    whole = with_share(pair(0, 2, np.eye(3), 0.81, 0.81), 0.31)
    part = with_share(pair(1, 2, np.eye(3), 0.81, 0.79), 0.9)
    assert with_both(whole, part) == [[0, 2]]
    assert with_both(with_share(whole, 0.29), part) == [[1, 2]]  # too little is there again
    for covered in ((0.81, 0.79), (0.79, 0.81)):
        assert with_both(with_share(pair(0, 2, np.eye(3), *covered), 0.5), part) == [[1, 2]]
    assert with_both(with_share(whole, 0.4), with_share(pair(1, 2, np.eye(3)), 0.5)) == [[1, 2]]
    more = dataclasses.replace(pair(1, 2, np.eye(3)), geometry=95.0)
    assert with_both(pair(0, 2, np.eye(3)), more) == [[1, 2]]
    assert with_both(pair(0, 2, np.eye(3)), pair(1, 2, np.eye(3))) == [[0, 2]]  # by content
    weak = dataclasses.replace(whole, evenness=0.45)
    assert with_both(weak, with_share(part, 0.25)) == [[1, 2]]  # weak ones last


@pytest.mark.parametrize(("evenness", "together"), [(0.52, True), (0.50, False)])
def test_a_pair_that_joins_groups_is_strong(evenness: float, together: bool) -> None:
    given = dataclasses.replace(pair(0, 2, np.eye(3)), evenness=evenness)
    assert (given.probability("sift") >= 0.95) == together
    found = joined(4, given, pair(0, 1, np.eye(3)), pair(2, 3, np.eye(3)))
    assert found == ([[0, 1, 2, 3]] if together else [[0, 1], [2, 3]])


@pytest.mark.parametrize(("evenness", "together"), [(0.42, True), (0.40, False)])
def test_a_pair_that_joins_anything_is_proven(evenness: float, together: bool) -> None:
    given = dataclasses.replace(pair(0, 1, np.eye(3)), evenness=evenness)
    assert (given.probability("sift") >= 0.8) == together
    assert joined(2, given) == ([[0, 1]] if together else [])


def test_a_weak_pair_brings_a_single_image_to_a_group() -> None:
    weak = dataclasses.replace(pair(0, 2, np.eye(3)), evenness=0.45)
    assert joined(3, weak, pair(0, 1, np.eye(3))) == [[0, 1, 2]]


def test_members_lie_on_the_original_through_others() -> None:
    given = pair(0, 1, scaled(2)), dataclasses.replace(pair(1, 2, scaled(1.5)), inliers=40, mirrored=True)
    (found,) = clusters(3, *given, sizes=FINER)
    assert found.original == 0
    assert (found.members[0].probability, found.members[0].inliers) == (1.0, 1 << 30)
    last = found.members[2]
    assert last.homography is not None
    np.testing.assert_allclose(last.homography, scaled(3))
    assert (last.mirrored, last.negative, last.inliers) == (True, False, 40)
    assert last.probability == pytest.approx(pair(0, 1, np.eye(3)).probability("sift") ** 2, rel=1e-9)


@pytest.mark.parametrize("turned", [False, True])
def test_a_pair_with_the_original_goes_before_a_chain(turned: bool) -> None:
    chain = [pair(0, 1, scaled(2)), pair(1, 2, scaled(1.5))]
    own = pair(2, 0, scaled(1 / 2.9)) if turned else pair(0, 2, scaled(2.9))
    own = dataclasses.replace(own, in_query=dataclasses.replace(own.in_query, share=0.5), geometry=70.0)
    (found,) = clusters(3, *chain, own, sizes=FINER)
    homography = found.members[2].homography
    assert homography is not None
    np.testing.assert_allclose(homography, scaled(2.9))
    (found,) = clusters(3, *chain, dataclasses.replace(own, evenness=0.3), sizes=FINER)  # not proven
    homography = found.members[2].homography
    assert homography is not None
    np.testing.assert_allclose(homography, scaled(3))


def test_a_pair_with_the_chosen_original_goes_before_a_chain_too() -> None:
    given = [pair(0, 1, scaled(2)), pair(0, 2, scaled(3)), pair(1, 2, scaled(1.45))]
    images = {number: ImageSize(*SIZE, f"{number:064x}") for number in range(3)}
    (found,) = cluster(images, {one.key: one for one in given}, "sift", {}, lambda groups: [1])
    homography = found.members[2].homography
    assert homography is not None
    np.testing.assert_allclose(homography, scaled(1.45))


def test_without_a_proven_pair_areas_say_what_lies_in_what() -> None:
    # 0 and 2 meet through 1 only: of each a part lies in the other.
    for shift, together in ((199, True), (201, False)):
        chain = [pair(0, 1, np.eye(3)), pair(1, 2, scaled(1, shift), 0.6, 0.6)]
        found = joined(3, *chain)
        assert found == ([[0, 1, 2]] if together else [[0, 1]])


def test_what_is_accepted_is_joined_by_its_pair_if_there_is_one() -> None:
    poor = dataclasses.replace(pair(0, 1, scaled(2)), geometry=0.0, evenness=0.0)
    for one in (poor, dataclasses.replace(poor, query=0, reference=1, homography=scaled(0.5))):
        assert joined(2, one) == []
        (found,) = clusters(2, one, verdicts={(0, 1): True}, sizes=FINER)
        homography = found.members[1].homography
        assert homography is not None
        np.testing.assert_allclose(homography, scaled(2))
        assert found.members[1].probability == 1
    # A pair of parts that are too small is no reason to join, but a word is.
    parts = pair(0, 1, np.eye(3), 0.2, 0.2)
    for one in (parts, pair(1, 0, scaled(1, 5), 0.2, 0.2)):
        (found,) = clusters(2, one, verdicts={(0, 1): True})
        homography = found.members[1].homography
        assert homography is not None
        np.testing.assert_allclose(homography, np.eye(3) if one is parts else scaled(1, -5))


def test_what_is_accepted_without_a_pair_has_no_homography() -> None:
    (found,) = clusters(4, pair(0, 1, np.eye(3)), pair(2, 3, np.eye(3)), verdicts={(1, 2): True})
    assert sorted(found.members) == [0, 1, 2, 3]
    assert found.members[2].homography is found.members[3].homography is None
    assert found.members[2].probability == found.members[1].probability  # the word is sure
    assert (found.members[2].inliers, found.members[1].inliers) == (0, 80)


def test_rejected_pairs_part_whole_groups_and_go_before_accepted_ones() -> None:
    chain = [pair(0, 1, np.eye(3)), pair(2, 3, np.eye(3))]
    weaker = dataclasses.replace(pair(1, 2, np.eye(3)), geometry=70.0)
    assert joined(4, *chain, weaker) == [[0, 1, 2, 3]]
    for rejected in ((0, 3), (1, 2), (0, 2)):
        assert joined(4, *chain, weaker, verdicts={rejected: False}) == [[0, 1], [2, 3]]
        assert joined(4, *chain, verdicts={rejected: False, (1, 3): True}) == [[0, 1], [2, 3]]


def test_verdicts_and_pairs_of_images_that_are_gone_are_passed_over() -> None:
    gone = [pair(0, 9, np.eye(3)), pair(8, 1, np.eye(3))]
    verdicts = {(0, 9): True, (8, 9): True, (1, 8): False}
    assert joined(3, pair(0, 1, np.eye(3)), *gone, verdicts=verdicts) == [[0, 1]]
    there = {number: ImageSize(*SIZE, f"{number:064x}") for number in (1, 2)}
    found = cluster(there, {one.key: one for one in (pair(0, 1, np.eye(3)), pair(1, 2, np.eye(3)))}, "sift", {})
    assert [sorted(group.members) for group in found] == [[1, 2]]


def test_verdicts_are_taken_in_the_order_of_contents() -> None:
    verdicts = {(1, 2): True, (0, 1): True, (0, 2): False}
    for order in (list(verdicts), list(verdicts)[::-1]):
        assert joined(3, verdicts={key: verdicts[key] for key in order}) == [[0, 1]]
    contents = {0: "5", 1: "1", 2: "3", 3: "4"}
    images = {number: ImageSize(*SIZE, content) for number, content in contents.items()}
    both = {(0, 1): True, (2, 3): True, (0, 3): False}  # contents 1 and 5 come before 3 and 4
    found = cluster(images, {(1, 2): pair(1, 2, np.eye(3))}, "sift", both)
    assert [sorted(group.members) for group in found] == [[0, 1, 2]]
    backwards = {number: ImageSize(*SIZE, f"{9 - number}") for number in range(3)}
    found = cluster(backwards, {}, "sift", verdicts)
    assert [sorted(group.members) for group in found] == [[1, 2]]
