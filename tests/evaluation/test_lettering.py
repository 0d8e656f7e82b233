from __future__ import annotations

import re

import numpy as np
from PIL import Image, ImageDraw

from featmatch.evaluation.lettering import colour, date, digits, draw_bars, write_by_hand, write_centred
from tests.evaluation.arguments import random

# Widths of bars and gaps of the digits 0 to 9, as GS1 has them for the left half of EAN-13.
WIDTHS = ("3211", "2221", "2122", "1411", "1132", "1231", "1114", "1312", "1213", "3112")


def inked(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray(image.convert("L")) < 250


def test_bars_can_be_read() -> None:
    number = "012345678901"
    image = Image.new("RGB", (89 * 4 + 20, 40), (255, 255, 255))
    draw_bars(ImageDraw.Draw(image), (10, 5, 10 + 89 * 4, 35), number)  # 3 + 6 * 7 + 5 + 6 * 7 + 3, less the middle
    row = np.asarray(image.convert("L"))[20, 10:-10] < 128
    modules = [bool(row[round((place + 0.4) * len(row) / 95)]) for place in range(95)]
    assert modules[:3] == modules[-3:] == [True, False, True]
    read = [modules[3 + 7 * k : 10 + 7 * k] for k in range(6)] + [modules[50 + 7 * k : 57 + 7 * k] for k in range(6)]
    runs = ["".join(str(len(run)) for run in re.findall("1+|0+", "".join("01"[one] for one in code))) for code in read]
    assert "".join(str(WIDTHS.index(run)) for run in runs) == number
    assert [code[0] for code in read] == [False] * 6 + [True] * 6
    assert not inked(image)[:4].any()


def test_handwriting_stays_in_its_box_and_is_each_time_another() -> None:
    images = []
    for seed in (1, 1, 2):
        image = Image.new("RGB", (300, 80), (255, 255, 255))
        write_by_hand(image, (40, 20, 260, 60), random(seed), (0, 0, 120), 7)
        images.append(np.asarray(image))
        places = np.argwhere(inked(image))
        assert places[:, 0].min() >= 20
        assert places[:, 0].max() < 60
        assert places[:, 1].min() >= 40
        assert 200 < places[:, 1].max() < 260  # it fills the box
        assert 0.02 < inked(image).mean() < 0.3
    np.testing.assert_array_equal(images[0], images[1])
    assert (images[0] != images[2]).any(axis=2).mean() > 0.01
    blue = images[0][(images[0][..., 2] < 200)]
    assert (blue[:, 2].astype(int) > blue[:, 0]).all()


def test_a_short_word_by_hand_is_not_drawn_out_and_a_long_one_is_pressed_together() -> None:
    ends = []
    for letters in (1, 20):
        image = Image.new("RGB", (300, 80), (255, 255, 255))
        write_by_hand(image, (40, 20, 260, 60), random(), (0, 0, 120), letters)
        ends.append(np.flatnonzero(inked(image).any(axis=0))[-1])
    assert ends[0] < 120
    assert 250 < ends[1] < 260


def test_words_fill_their_box_and_no_more() -> None:
    for words in ("A", "MIDDLING", "very many words that are all to be in one line"):
        image = Image.new("RGB", (400, 120), (255, 255, 255))
        write_centred(ImageDraw.Draw(image), (50, 30, 350, 90), words, (0, 0, 0))
        across = np.flatnonzero(inked(image).any(axis=0))
        assert across[0] >= 50
        assert across[-1] <= 350
        assert abs((across[0] + across[-1]) / 2 - 200) < 5
    assert across[-1] - across[0] > 250


def test_numbers_dates_and_colours_are_within_bounds() -> None:
    chance = random()
    assert re.fullmatch(r"\d{9}", digits(chance, 9))
    for _ in range(50):
        day, month, year = map(int, date(chance).split("."))
        assert 1 <= day <= 28
        assert 1 <= month <= 12
        assert 1940 <= year <= 2029
        assert all(100 <= channel <= 110 for channel in colour(chance, 100, 110))
