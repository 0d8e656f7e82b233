"""Where two pictures differ, on pictures that the test draws: fillings of forms, photos of them, edits and warps."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.geometry.maps import Matrix, project
from featmatch.proof.difference import (
    ADDED,
    AGREEING,
    CONTRADICTING,
    LACKING,
    SILENT,
    Difference,
    difference,
)

Picture = NDArray[np.uint8]
HERE = np.eye(3)


def form(*fillings: str) -> Picture:
    """A form of 700 x 900 px with a head and lines, some of them filled in."""
    page = np.full((900, 700), 250, np.uint8)
    cv2.putText(page, "APPLICATION FORM B", (60, 90), cv2.FONT_HERSHEY_SIMPLEX, 1.3, 30, 3, cv2.LINE_AA)
    for number in range(12):
        top = 140 + 60 * number
        cv2.rectangle(page, (40, top), (660, top + 46), 60, 2)
        cv2.putText(page, f"field {number}", (50, top + 30), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 40, 1, cv2.LINE_AA)
        if number < len(fillings):
            place = (200, top + 34)
            cv2.putText(page, fillings[number], place, cv2.FONT_HERSHEY_SIMPLEX, 0.9, 40, 2, cv2.LINE_AA)
    return page


def photographed(page: Picture, way: Matrix, *, bend_px: float = 0.0) -> Picture:
    """The page seen under a homography, bent, blurred, noisy and under uneven light."""
    height, width = page.shape
    rows, columns = np.indices((height, width), np.float32)
    bent = cv2.remap(page, columns + bend_px * np.sin(rows / height * np.pi), rows, cv2.INTER_LINEAR, borderValue=250)
    seen = cv2.warpPerspective(bent, way, (width, height), borderValue=120).astype(np.float64)
    seen = cv2.GaussianBlur(seen, (0, 0), 1.0) * np.linspace(0.6, 1, width) + 10
    return np.clip(seen + np.random.default_rng(0).normal(0, 3, seen.shape), 0, 255).astype(np.uint8)


TILTED = np.array([[0.9, 0.06, 20], [-0.04, 0.92, 30], [0.00004, 0.00002, 1]])
ANNA = ("Anna Berger", "14 March 1990", "Linz 4020", "nurse", "8812347")
PAUL = ("Paul Novak", "30 June 1975", "Graz 8010", "driver", "5520961")


def seen(query: Picture, reference: Picture, way: Matrix = HERE, *, negative: bool = False) -> Difference:
    found = difference(query, reference, np.asarray(np.linalg.inv(way)), negative=negative)
    assert found is not None
    return found


@pytest.mark.parametrize("bend_px", [0.0, 6.0])
def test_a_photographed_form_agrees_all_over(bend_px: float) -> None:
    found = seen(photographed(form(*ANNA), TILTED, bend_px=bend_px), form(*ANNA), TILTED)
    assert found.agreeing > 150
    assert found.contradicting <= 0.01 * found.agreeing
    assert found.enclosed_share <= 0.01


def test_another_filling_contradicts_where_it_is_and_nowhere_else() -> None:
    found = seen(photographed(form(*PAUL), TILTED), form(*ANNA), TILTED)
    assert found.agreeing > 100
    assert found.contradicting > 8
    assert found.enclosed_share > 0.02
    cells = np.argwhere(found.states == CONTRADICTING)[:, ::-1] + 0.5
    places = project(np.linalg.inv(TILTED) @ found.query_from_cells, cells)
    assert ((places[:, 0] > 170) & (places[:, 0] < 480) & (places[:, 1] > 120) & (places[:, 1] < 450)).all()


def test_a_changed_place_is_a_region_of_both_pictures() -> None:
    page, changed = form(*ANNA), form(ANNA[0], "14 March 1991", "Wien 1030", *ANNA[3:])
    found = seen(photographed(changed, TILTED), page, TILTED)
    share, (region,), (there,) = found.differences(TILTED)
    np.testing.assert_allclose(there, project(TILTED, region))
    assert region.shape == (4, 2)
    (left, top), (right, bottom) = (project(np.linalg.inv(TILTED), region)[corner] for corner in (0, 2))
    assert 180 < left < right < 480
    assert 190 < top < bottom < 310
    assert 0.001 < share < 0.03
    assert seen(photographed(page, TILTED), page, TILTED).differences(TILTED) == (0.0, [], [])


def test_both_directions_say_the_same() -> None:
    photo, page = photographed(form(*PAUL), TILTED), form(*ANNA)
    there, back = seen(photo, page, TILTED), seen(page, photo, np.linalg.inv(TILTED))
    assert there.share == pytest.approx(back.share, abs=0.03)


def test_light_and_dark_may_be_swapped() -> None:
    page = form(*ANNA)
    assert seen(255 - page, page, negative=True).contradicting == 0
    assert seen(255 - page, page).agreeing == 0


def test_plain_covered_and_blurred_places_are_silent() -> None:
    page, covered = form(*ANNA), form(*ANNA)
    covered[150:400, 180:] = 250  # glare
    found = seen(covered, page)
    assert found.contradicting <= 3  # at the edge of the glare
    assert (found.states[6:13, 7:22] == CONTRADICTING).sum() == 0
    assert (found.states[6:13, 7:22] == AGREEING).sum() == 0


def board(*places: tuple[int, int]) -> Picture:
    """A board with a mark in some of its squares."""
    page = np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.ones((80, 80), int)).astype(np.uint8) * 90 + 120
    for row, column in places:
        cv2.circle(page, (80 * column + 40, 80 * row + 40), 24, 20, 3, cv2.LINE_AA)
    return page


def test_what_moved_is_exchanged_and_what_was_added_is_not() -> None:
    one, other = [(1, 2), (3, 5), (5, 1), (6, 6)], [(1, 5), (2, 3), (4, 6), (6, 2)]
    both = board(*one, *other)
    assert seen(board(*one), board(*other)).exchanged >= 8
    assert seen(board(*other), board(*one)).exchanged == seen(board(*one), board(*other)).exchanged
    for query, reference in ((both, board(*one)), (board(*one), both), (both, both)):
        assert seen(query, reference).exchanged == 0


def test_what_lies_around_is_not_enclosed(photos: dict[str, NDArray[np.uint8]]) -> None:
    """A picture hung elsewhere: its wall contradicts, and does not speak against it."""
    picture, wall, other = (cv2.cvtColor(photos[name], cv2.COLOR_RGB2GRAY) for name in ("coffee", "grass", "brick"))
    hung = [np.array(cv2.resize(one, (900, 700)), np.uint8) for one in (wall, other)]
    for one in hung:
        one[150:550, 150:750] = cv2.resize(picture, (600, 400))
    found = seen(hung[0], hung[1])
    assert found.share > 0.3
    assert found.enclosed_share < 0.1


def test_a_region_too_small_has_no_cells() -> None:
    for height, width in ((11, 300), (14, 600)):  # the latter has 30 px, twice as large
        page = form()[:height, :width]
        assert difference(page, page, HERE, negative=False) is None


def test_two_references_are_compared_where_a_third_lies() -> None:
    query = form(*PAUL)
    sister, same, moved = form(*ANNA), form(*PAUL), photographed(form(*PAUL), TILTED)
    own, other = seen(query, sister), seen(query, same)
    third = difference(query, moved, TILTED, negative=False)
    assert third is not None
    cells = np.argwhere(own.states == CONTRADICTING)
    assert len(cells) > 8
    parts = [one.parts(cells, own) for one in (own, other, third)]
    for part in parts[1:]:
        assert np.nanmedian(parts[0].correlation(part)) < 0.5
    alike = parts[1].correlation(parts[2])
    assert np.nanmedian(alike) > 0.8
    some = np.arange(len(cells)) % 3 == 1
    np.testing.assert_array_equal(parts[1].correlation(parts[2], some), alike[some])
    assert len(own.parts(cells[:0], own).correlation(other.parts(cells[:0], own))) == 0


def test_parts_beyond_a_reference_say_nothing() -> None:
    page = form(*ANNA)
    own, upper = seen(page, page), seen(page, np.asarray(page[:400]))
    cells = np.argwhere(own.states == AGREEING)
    alike = own.parts(cells, own).correlation(upper.parts(cells, own))
    tops = project(own.query_from_cells, cells[:, ::-1].astype(np.float64))[:, 1]
    assert np.isnan(alike[tops > 400]).all()
    assert (alike[tops < 360] > 0.9).mean() > 0.9


def test_a_plain_place_is_another_content_than_a_filled_one_and_says_nothing_beside_another_plain_one() -> None:
    query, filled, empty = form(*PAUL), form(*ANNA), form()
    own = seen(query, filled)
    cells = np.argwhere(own.states == CONTRADICTING)
    with_content, plain, off = (seen(query, one).parts(cells, own) for one in (filled, empty, np.full_like(query, 250)))
    against = with_content.correlation(plain)
    assert not np.isnan(against).any()
    assert (against < 0.4).sum() >= 3
    assert (with_content.correlation(off) == 0).all()
    assert np.isnan(off.correlation(off)).all()


def test_what_only_one_picture_shows_is_unlike_as_what_contradicts_is() -> None:
    states = np.array([[AGREEING, AGREEING, CONTRADICTING], [ADDED, LACKING, SILENT]], np.int8)
    found = Difference(states, HERE, np.zeros((60, 80), np.int16))
    assert found.unlike_share == 0.6
    assert found.share == pytest.approx(1 / 3)
    assert Difference(states[:0], HERE, found.seen).unlike_share == 0


def test_print_that_contradicts_is_stark_where_enough_of_it_agrees() -> None:
    page = form(*ANNA)
    other = seen(form(*PAUL), page)
    cells = other.agreeing + other.contradicting
    assert 0.03 < other.stark_share < 0.6
    assert other.contradicting / cells > 0.02
    assert seen(page, page).stark_share == 0
    faint = (form(*PAUL) // 12 + 100).astype(np.uint8)
    found = seen(faint, page)
    assert found.contradicting > 0
    assert found.stark_share == 0  # nothing of it is stark
    assert seen(form(*PAUL)[195:255, 190:430], page[195:255, 190:430]).stark_share == 0  # hardly anything agrees


def rough(page: Picture, rows: slice = slice(None), deviation: float = 25.0) -> Picture:
    """A page that lies on rough stone in some rows."""
    stone = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 1, page.shape), (0, 0), 3.0)
    stone = np.clip(page - 60 + deviation * stone / stone.std(), 0, 255).astype(np.uint8)
    on_stone = page.copy()
    on_stone[rows] = stone[rows]
    return on_stone


def test_print_is_redrawn_where_most_of_it_lies_on_a_plain_ground_in_both_pictures() -> None:
    page, other = form(*ANNA), form(*PAUL)
    for head in (slice(0, 0), slice(0, 90), slice(None)):
        pairs = [(rough(other, head), rough(page, head))]
        pairs += [(rough(other, head), page), (other, rough(page, head))] if head.stop is None else []
        for found in (seen(*pair) for pair in pairs):
            assert found.enclosed_share > 0.01
            assert found.redrawn_share == (0 if head.stop is None else found.enclosed_share)
    assert seen(other, page)._replace(is_small=True).redrawn_share == 0
    assert seen(page, page).redrawn_share == 0


def test_what_was_laid_over_print_is_not_as_strong_as_what_it_hides() -> None:
    page, covered = form(*ANNA), form(*ANNA)
    for number in range(6):
        cv2.circle(covered, (110 + 90 * number, 180 + 70 * number), 40, 140, -1)
    for pair in ((covered, page), (page, covered)):
        found = seen(*pair)
        assert found.is_drawn
        assert found.enclosed_share > 0.02
        assert found.redrawn_share == 0
    faint = (form(*PAUL) // 2 + 100).astype(np.uint8)
    assert seen(faint, page).redrawn_share == seen(faint, page).enclosed_share > 0.02


def test_most_of_what_contradicts_within_what_agrees_must_be_as_strong() -> None:
    states = np.full((6, 8), AGREEING, np.int8)
    states[2:4, 1:3] = CONTRADICTING
    strong = np.zeros(states.shape, bool)
    strong[2, 1:3] = True
    found = Difference(states, HERE, np.zeros((8, 8), np.int16), is_drawn=True, as_strong=strong)
    assert found.redrawn_share == found.enclosed_share == 4 / 48
    assert found._replace(as_strong=strong & (np.arange(8) != 1)).redrawn_share == 0
    for less in ({"is_drawn": False}, {"is_small": True}, {"as_strong": None}):
        assert found._replace(**less).redrawn_share == 0


def test_another_drawing_has_a_ground_as_well() -> None:
    page, covered = form(*ANNA), form(*ANNA)
    mosaic = np.random.default_rng(3).integers(0, 255, (50, 70), dtype=np.uint8)
    covered[450:850, 60:620] = np.kron(mosaic, np.ones((8, 8), np.uint8))
    for pair in ((covered, page), (page, covered)):
        found = seen(*pair)
        assert found.enclosed_share > 0.3
        assert not found.is_drawn


def test_nothing_is_drawn_on_haze() -> None:
    haze = rough(np.full((600, 600), 200, np.uint8), deviation=9.0)
    other = haze.copy()
    other[200:320, 200:320] = haze[400:520, 400:520]
    found = seen(other, haze)
    assert found.enclosed_share > 0.01
    assert found.redrawn_share == 0


@pytest.mark.parametrize(("slope", "drawn"), [(0, True), (3, False)])
def test_what_is_drawn_on_shades_is_not_on_a_plain_ground(slope: int, drawn: bool) -> None:
    rows, columns = np.indices((600, 600))
    page = (240 - slope * np.abs(columns % 40 - 20)).astype(np.uint8)
    other = page.copy()
    page[rows % 18 < 5] = other[rows % 18 < 5] = 10
    part = np.s_[200:320, 200:320]
    other[part] = np.where(columns % 18 < 5, 10, page.max(initial=0))[part]
    found = seen(other, page)
    assert found.enclosed_share > 0.01
    assert (found.redrawn_share > 0) is drawn


def test_cells_along_an_outline_do_not_agree_throughout() -> None:
    states = np.zeros((9, 9), np.int8)
    states[1:8, 1:8] = AGREEING
    filled = Difference(states, HERE, np.zeros((8, 8), np.int16))
    assert (filled.agreeing, filled.agreeing_throughout) == (49, 49)  # of which 25 are inside
    hollow = states.copy()
    hollow[2:7, 2:6] = SILENT
    assert filled._replace(states=hollow).agreeing_throughout == 10  # of 29
    stripe = np.zeros((9, 9), np.int8)
    stripe[3:5] = AGREEING
    assert filled._replace(states=stripe).agreeing_throughout == 0


def test_stark_structure_counts_within_what_agrees() -> None:
    states = np.zeros((8, 12), np.int8)
    states[:6, :6], states[:6, 9:] = AGREEING, CONTRADICTING
    everywhere = np.ones(states.shape, bool)
    beyond = Difference(states, HERE, np.zeros((8, 8), np.int16), everywhere)
    assert beyond.stark_share == 0
    states = states.copy()
    states[2:4, 2:4] = CONTRADICTING
    within = beyond._replace(states=states)
    assert within.stark_share == 4 / 36
    assert within._replace(stark=everywhere & (states != CONTRADICTING)).stark_share == 0
    few = np.zeros(states.shape, bool)
    few[:3] = True  # of these 16 agree
    assert within._replace(stark=few).stark_share == 0
    assert within._replace(stark=None).stark_share == 0


# Small regions


def face(mouth_deg: int, eye: int) -> Picture:
    """A face of 64 px, as emoji have: its mouth turned, its eyes at another height."""
    large = np.full((256, 256), 250, np.uint8)
    cv2.circle(large, (128, 128), 110, 170, -1, cv2.LINE_AA)
    for x in (85, 170):
        cv2.circle(large, (x, eye), 18, 30, -1, cv2.LINE_AA)
    cv2.ellipse(large, (128, 160), (55, 30), mouth_deg, 0, 180, 40, 14, cv2.LINE_AA)
    return np.asarray(cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA), np.uint8)


def test_a_small_region_is_enlarged_and_has_cells() -> None:
    edited = cv2.GaussianBlur(face(0, 95), (0, 0), 0.6)
    same, other = seen(np.asarray(edited, np.uint8), face(0, 95)), seen(face(180, 60), face(0, 95))
    assert same.is_small
    assert same.agreeing > 20
    assert same.contradicting == 0
    assert other.contradicting > 8
    assert other.share > 0.3


@pytest.mark.parametrize(("side", "is_small"), [(95, True), (97, False)])
def test_a_larger_region_is_looked_at_as_it_is(side: int, is_small: bool) -> None:
    page = form(*ANNA)[100 : 100 + side, 40 : 40 + side]
    found = difference(page, page, HERE, negative=False)
    assert found is not None
    assert found.is_small is is_small
    assert found.states.shape == ((7, 7) if is_small else (3, 3))


def test_cells_of_a_small_region_lie_where_it_is() -> None:
    page = form(*ANNA)
    moved = np.array([[1.0, 0, 45], [0, 1, 130], [0, 0, 1]])
    found = difference(page[130:200, 45:125], page, moved, negative=False)
    assert found is not None
    assert found.is_small
    assert found.contradicting == 0
    assert found.agreeing > 10
    rows, columns = found.states.shape
    corners = project(found.query_from_cells, np.array([[0.0, 0], [columns, rows]]))
    assert (corners >= 0).all()
    assert (corners <= [80, 70]).all()
    assert (corners[1] > [60, 50]).all()


def photograph(*words: str) -> Picture:
    """Smooth noise with words written over it."""
    noise = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 1, (480, 640)), (0, 0), 3.0)
    picture: Picture = np.clip(110 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)
    for number, text in enumerate(words):
        place = (60, 120 + 90 * number)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 1.6, 0, 12, cv2.LINE_AA)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 1.6, 255, 4, cv2.LINE_AA)
    return picture


def test_a_photograph_is_one_whatever_is_written_over_a_part_of_it() -> None:
    whole, over = photograph(), photograph("WHAT A DAY")
    for pair in ((whole, over), (over, whole), (whole, whole), (photograph("NOT TODAY"), over)):
        found = seen(*pair)
        assert found.is_photograph
        assert not found.is_print
    assert seen(over, whole).contradicting > 3


def test_no_photograph_where_much_of_it_differs_or_little_agrees() -> None:
    whole = photograph()
    covered = whole.copy()
    covered[240:] = whole[240:][::-1]
    assert not seen(covered, whole).is_photograph
    assert not seen(whole[:150, :150], whole).is_photograph
    states = np.full((8, 10), AGREEING, np.int8)
    states[1:6, 2:8] = SILENT  # print has nothing between
    found = seen(whole, whole)._replace(states=states)
    assert not found.is_photograph
    states[1:6, 2:8] = AGREEING
    assert found.is_photograph


def test_a_form_is_print_and_no_photograph() -> None:
    found = seen(form(*PAUL), form(*ANNA))
    assert found.is_print
    assert not found.is_photograph
    assert found._replace(states=np.full_like(found.states, SILENT)).is_print
