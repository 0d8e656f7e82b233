"""Numbers that tell the images of several indexes apart."""

from __future__ import annotations

import pytest

from featmatch.store.numbers import IDS, number_of, place_of


@pytest.mark.parametrize(("place", "image"), [(0, 1), (0, IDS - 1), (1, 1), (400, IDS - 1)])
def test_a_number_leads_back_to_its_index(place: int, image: int) -> None:
    assert place_of(number_of(place, image)) == (place, image)
    assert number_of(place, image) < 1 << 53  # a page in a browser counts so far


def test_a_first_index_keeps_its_numbers() -> None:
    assert number_of(0, 12) == 12
    assert number_of(1, 12) > number_of(0, IDS - 1)
