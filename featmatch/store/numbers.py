"""Numbers that tell the images of several indexes apart; those of a first index are its own."""

from __future__ import annotations

IDS = 1 << 44  # of one index; more than can be added one a microsecond in half a year


def number_of(place: int, image: int) -> int:
    """The number of an image among all, by the place of its index and its number there.

    >>> number_of(0, 12), place_of(number_of(3, 12))
    (12, (3, 12))
    """
    return place * IDS + image


def place_of(number: int) -> tuple[int, int]:
    """The place of its index and its number there."""
    return divmod(number, IDS)
