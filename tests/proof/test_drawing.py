from __future__ import annotations

from io import BytesIO
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from featmatch.errors import ImageError
from featmatch.images.decoding import DecodingOptions
from featmatch.proof.difference import Differences
from featmatch.proof.drawing import draw_proof

ORANGE, GREEN, RED, PINK = (255, 140, 0), (60, 200, 90), (255, 80, 80), (230, 30, 160)
BLACK, GREY = np.zeros((100, 100, 3), np.uint8), np.full((50, 100, 3), 90, np.uint8)
# Shown at 720 px of height, so at 7.2 px for each px; and at 1440 px of width, so at 14.4, behind a gap of 16 px.
LEFT, RIGHT, OFFSET = 7.2, 14.4, 736


def said(
    query_points: ArrayLike = (),
    reference_points: ArrayLike = (),
    query_region: ArrayLike = (),
    reference_region: ArrayLike = (),
) -> Any:
    """What is drawn of a match."""
    names = ("query_points", "reference_points", "query_region", "reference_region")
    values = (query_points, reference_points, query_region, reference_region)
    return SimpleNamespace(
        differences=None,
        **{name: np.array(value, float).reshape(-1, 2) for name, value in zip(names, values, strict=True)},
    )


def is_of(canvas: NDArray[np.uint8], colour: tuple[int, int, int], tolerance: int = 25) -> NDArray[np.bool_]:
    return np.asarray((np.abs(canvas.astype(int) - colour) <= tolerance).all(axis=2))


def near(marked: NDArray[np.bool_], place: tuple[int, int]) -> bool:
    """Whether a pixel or one beside it is marked: ends of lines lie between pixels."""
    row, column = place
    return bool(marked[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].any())


def left(x: float, y: float) -> tuple[int, int]:
    """Row and column at which a point of the query is drawn."""
    return round((y + 0.5) * LEFT - 0.5), round((x + 0.5) * LEFT - 0.5)


def right(x: float, y: float) -> tuple[int, int]:
    return round((y + 0.5) * RIGHT - 0.5), round((x + 0.5) * RIGHT - 0.5) + OFFSET


def test_the_pictures_lie_side_by_side() -> None:
    canvas = draw_proof(BLACK, GREY, None)
    assert canvas.shape == (720, 720 + 16 + 1440, 3)
    assert (canvas[:, :720] == 0).all()
    assert (canvas[:, 720:736] == 255).all()
    assert (canvas[:, 736:] == 90).all()


@pytest.mark.parametrize(
    ("shape", "shown"),
    [((1440, 720), (720, 360)), ((10, 40), (360, 1440)), ((2000, 2), (720, 1)), ((1, 900), (2, 1440))],
)
def test_a_picture_is_720_px_high_unless_it_is_wider_than_twice_that(
    shape: tuple[int, int], shown: tuple[int, int]
) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    canvas = draw_proof(picture, BLACK, None)
    assert canvas.shape == (720, shown[1] + 16 + 720, 3)
    assert (canvas[: shown[0], : shown[1]] == 0).all()
    assert (canvas[shown[0] :, : shown[1]] == 255).all()
    mirrored = draw_proof(BLACK, picture, None)
    assert (mirrored[: shown[0], 736:] == 0).all()
    assert (mirrored[shown[0] :, 736:] == 255).all()


def test_a_picture_that_is_scaled_down_is_averaged() -> None:
    rows = np.array([0, 200, 200, 0], np.uint8)
    canvas = draw_proof(np.tile(rows[:, None, None], (720, 40, 3)), GREY, None)
    assert np.abs(canvas[:, :10].astype(int) - 100).max() <= 1


@pytest.mark.parametrize("large", [0, 1])
def test_both_pictures_are_decoded_within_the_bounds(large: int) -> None:
    files = [BytesIO(), BytesIO()]
    for number, file in enumerate(files):
        Image.fromarray(GREY if number == large else GREY[:5, :5]).save(file, "PNG")
    contents = [file.getvalue() for file in files]
    with pytest.raises(ImageError) as raised:
        draw_proof(contents[0], contents[1], None, decoding=DecodingOptions(max_pixels=1000))
    assert raised.value.status == "too_large"
    assert draw_proof(contents[0], contents[1], None, decoding=DecodingOptions(max_pixels=5000)).shape[0] == 720


def test_what_differs_is_outlined_in_both_pictures() -> None:
    proof = said(
        query_region=[[1, 1], [98, 1], [98, 98], [1, 98]], reference_region=[[1, 1], [98, 1], [98, 48], [1, 48]]
    )
    square = np.array([[20.0, 40], [60, 40], [60, 60], [20, 60]])
    proof.differences = Differences(0.1, [square], [square * [1, 0.5]])
    marked = is_of(draw_proof(BLACK, GREY, proof), PINK)
    assert near(marked, left(40, 40))
    assert near(marked, left(60, 50))
    assert near(marked, right(40, 20))
    assert near(marked, right(20, 25))
    assert not near(marked, left(40, 50))


def test_regions_are_outlined_where_they_lie() -> None:
    square = [[20, 30], [80, 30], [80, 70], [20, 70]]
    canvas = draw_proof(BLACK, GREY, said(query_region=square, reference_region=[[10, 10], [60, 10], [60, 40]]))
    marked = is_of(canvas, ORANGE)
    for point in ((20, 30), (80, 70), (50, 30), (20, 50), (20, 70)):  # corners and sides, the last side too
        assert marked[left(*point)]
    for point in ((10, 10), (60, 40), (35, 10), (35, 25)):
        assert marked[right(*point)]
    row, column = left(50, 30)
    assert marked[row - 5 : row + 6, column].sum() == 5  # a line of 3 px with soft edges
    row, column = right(35, 10)
    assert marked[row - 5 : row + 6, column].sum() == 5
    assert not near(marked, left(50, 50))


def test_matches_are_joined_and_circled_the_inliers_above_the_dropped_ones() -> None:
    dropped = np.array([[[50.0, 20]], [[50, 10]]])
    match = said(query_points=[[10, 90], [50, 20]], reference_points=[[90, 45], [50, 10]])
    canvas = draw_proof(BLACK, GREY, match, np.concatenate([dropped, [[[20.0, 60]], [[20, 30]]]], axis=1))
    kept, lost = is_of(canvas, GREEN, 60), is_of(canvas, RED, 60)
    for marked, start, end in ((kept, left(10, 90), right(90, 45)), (lost, left(20, 60), right(20, 30))):
        for row, column in (start, end):
            for place in ((row - 4, column), (row + 4, column), (row, column - 4), (row, column + 4)):
                assert marked[place]  # the circle
            assert not marked[row - 2, column]
        assert near(marked, start)
        assert near(marked, end)
        middle = (start[0] + end[0]) // 2
        assert marked[middle - 2 : middle + 3, (start[1] + end[1]) // 2].any()  # the line
    assert near(kept, left(50, 20))
    assert not near(lost, left(50, 20))


def test_dropped_matches_are_drawn_without_a_match() -> None:
    canvas = draw_proof(BLACK, GREY, None, np.array([[[50.0, 20]], [[50, 10]]]))
    assert near(is_of(canvas, RED, 60), left(50, 20))
    assert not is_of(canvas, ORANGE).any()


def test_of_many_inliers_sixty_are_drawn_spread_over_all() -> None:
    points = np.stack([np.full(100, 5), np.arange(100)], axis=1)
    for count in (60, 61, 100):
        canvas = draw_proof(BLACK, BLACK, said(query_points=points[:count], reference_points=points[:count]))
        marked = is_of(canvas, GREEN, 60)
        drawn = [y for y in range(100) if near(marked, left(50, y))]
        assert len(drawn) == 60
        assert (drawn[0], drawn[-1]) == (0, count - 1)
        assert max(np.diff(drawn)) <= 2


def test_a_reference_without_a_file_cannot_be_drawn() -> None:
    with pytest.raises(ImageError, match="--root") as raised:
        draw_proof(BLACK, None, None)
    assert raised.value.status == "not_found"
