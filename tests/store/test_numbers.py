"""Numbers that tell the images of several indexes apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from featmatch import StoreError
from featmatch.store.numbers import BY_AGE, BY_INDEX, Numbering, numbering_of


def catalog(cluster: str | None, newest: int = 1) -> Any:
    meta = {} if cluster is None else {"cluster": cluster}
    return SimpleNamespace(meta=meta, path="a.fm/catalog.sqlite", newest=lambda: newest)


@pytest.mark.parametrize("numbering", [BY_INDEX, BY_AGE])
@pytest.mark.parametrize(("place", "image"), [(0, 1), (0, (1 << 42) - 1), (1, 1), (400, (1 << 42) - 1)])
def test_a_number_leads_back_to_its_index(numbering: Numbering, place: int, image: int) -> None:
    number = numbering.number_of(place, image)
    assert numbering.place_of(number) == (place, image)
    assert number < 1 << 53  # a page in a browser counts so far
    (same,) = numbering.numbers_of(place, np.array([image])).tolist()
    places, images = numbering.places_of(np.array([number]))
    assert (same, places.tolist(), images.tolist()) == (number, [place], [image])


@pytest.mark.parametrize("numbering", [BY_INDEX, BY_AGE])
def test_what_comes_after_a_number(numbering: Numbering) -> None:
    every = [(place, image) for place in range(3) for image in range(1, 5)]
    for one in every:
        for place, image in every:
            after = numbering.number_of(*one)
            assert (image > numbering.own_after(place, after)) == (numbering.number_of(place, image) > after)


def test_a_first_index_keeps_its_numbers_and_a_cluster_goes_by_age() -> None:
    assert BY_INDEX.number_of(0, 12) == 12
    assert BY_INDEX.number_of(1, 1) > BY_INDEX.number_of(0, 1 << 43)
    assert BY_AGE.number_of(1, 1) < BY_AGE.number_of(0, 2)


@pytest.mark.parametrize(
    ("clusters", "numbering"),
    [
        ([None, None], BY_INDEX),
        (["a"], BY_INDEX),
        (["a", "a"], BY_AGE),
        (["a", "b"], BY_INDEX),
        (["a", None], BY_INDEX),
    ],
)
def test_indexes_of_one_cluster_are_numbered_together(clusters: list[str | None], numbering: Numbering) -> None:
    assert numbering_of([catalog(one) for one in clusters]) is numbering


def test_a_number_that_would_be_anothers_is_refused() -> None:
    assert numbering_of([catalog("a"), catalog("a", (1 << 44) - 1)]) is BY_AGE
    assert numbering_of([catalog("a", 1 << 44)]) is BY_INDEX  # alone it is nobody else's
    for cluster in ("a", None):
        with pytest.raises(StoreError, match="damaged: an image has the number"):
            numbering_of([catalog(cluster), catalog(cluster, 1 << 44)])
