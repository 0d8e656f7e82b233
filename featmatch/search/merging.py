"""What several indexes say of their own images -> what one index that holds all would say.

Images get numbers that tell the indexes apart (``store/numbers.py``). One content in two indexes is one
image: it goes by the number that the first of them has for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featmatch.features.looks import FORMS
from featmatch.geometry.significance import distinct
from featmatch.search.shard import Tally
from featmatch.search.verification import Fitted
from featmatch.search.voting import Ranked
from featmatch.search.whole_search import Nearest
from featmatch.store.numbers import BY_INDEX, Numbering


def of_all(found: Fitted, shard: int, numbering: Numbering) -> Fitted:
    """What an index proved, by the number among all."""
    image = dataclasses.replace(found.image, id=numbering.number_of(shard, found.image.id))
    return dataclasses.replace(found, image=image)


@dataclass(frozen=True)
class Listing:
    """The best images of all indexes, by their numbers among all.

    Attributes:
        ranked: by votes.
        nearest: by the look as a whole.
        contents: SHA-256 of each of them, by number.
        verdicts: of the user on the query and other contents (SHA-256): true is a copy.
        numbering: how images are numbered among all.
    """

    ranked: Ranked
    nearest: Nearest
    contents: Mapping[int, str]
    verdicts: Mapping[str, bool]
    numbering: Numbering = BY_INDEX

    @property
    def verdicts_of_images(self) -> dict[int, bool]:
        """The verdicts by number."""
        return {image: self.verdicts[content] for image, content in self.contents.items() if content in self.verdicts}

    def with_more(self, others: Listing) -> Listing:
        """This, with the images of another behind."""
        more = others.ranked._replace(ranks=others.ranked.ranks + len(self.ranked.ranks))
        contents = {**others.contents, **self.contents}
        return dataclasses.replace(self, ranked=Ranked.of([self.ranked, more]), contents=contents)

    def of_each_shard(self, count: int) -> Iterator[tuple[int, Ranked]]:
        """Each of so many indexes that has images on the list, with those that it has, by its own numbers."""
        if count == 1:  # several may have been joined to this one, with numbers that tell them apart
            yield 0, self.ranked
            return
        places, own = self.numbering.places_of(self.ranked.images)
        for place in distinct(places).tolist():
            rows = np.flatnonzero(places == place)
            yield place, self.ranked.part(rows)._replace(images=own[rows])


def merged(tallies: Mapping[int, Tally], count: int, numbering: Numbering = BY_INDEX) -> Listing:
    """The best of all.

    Args:
        tallies: by the place of the index.
        count: pairs of an image and a variant that are wanted by votes.
        numbering: how images are numbered among all.
    """
    number_by_content: dict[str, int] = {}
    verdicts: dict[str, bool] = {}
    for place in sorted(tallies):
        contents = tallies[place].contents
        numbers_there = numbering.numbers_of(place, np.fromiter(contents, np.int64)).tolist()
        number_by_content = {**dict(zip(contents.values(), numbers_there, strict=True)), **number_by_content}
        verdicts = {**tallies[place].verdicts, **verdicts}
    ranked, alike = [], []
    for place in sorted(tallies):
        own, near, contents, _ = tallies[place]
        numbers = {image: number_by_content[content] for image, content in contents.items()}
        rows, images = _renumbered(own.images, numbers)
        ranked.append(own.part(rows)._replace(images=images))
        rows, images = _renumbered(near.images, numbers)
        alike.append(near.part(rows)._replace(images=images))
    votes = Ranked.of(ranked)
    votes = votes.part(_firsts(votes.images, votes.variants))
    looks = Nearest.of(alike)
    return Listing(
        Ranked.best(votes.images, votes.variants, votes.votes, count),
        looks.part(_firsts(looks.images, looks.forms)).closest(),
        {number: content for content, number in number_by_content.items()},
        verdicts,
        numbering,
    )


def _renumbered(images: NDArray[np.int64], numbers: Mapping[int, int]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Rows of the images that are known, and the numbers that they have among all."""
    known = [(row, numbers[image]) for row, image in enumerate(images.tolist()) if image in numbers]
    rows, found = np.array(known, np.int64).reshape(-1, 2).T
    return rows, found


def _firsts(images: NDArray[np.int64], forms: NDArray[np.int64]) -> NDArray[np.intp]:
    """Rows of the first of each pair of an image and a form or variant."""
    return np.sort(np.unique(images * FORMS + forms, return_index=True)[1])
