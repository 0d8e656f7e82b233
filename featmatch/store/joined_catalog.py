"""The catalogues of several indexes, read as the one that an index would have that holds all of their images."""

from __future__ import annotations

import dataclasses
import heapq
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from featmatch.store.catalog import Catalog
from featmatch.store.numbers import Numbering, numbering_of
from featmatch.store.records import ImageRecord, Totals

_PAGE = 1000  # names that are looked up at a time
_heads: weakref.WeakKeyDictionary[Catalog, tuple[NDArray[np.int64], NDArray[np.uint64]]] = weakref.WeakKeyDictionary()


class JoinedCatalog(Catalog):
    """Several catalogues as one.

    Images have numbers by which the indexes are told apart (``numbers.py``). One content that is in several is one
    image, with the number that the first of them has for it and all its names. A name that two indexes have is told
    with its index in front, as ``B.fm:photos/a.jpg``.

    Attributes:
        parts: the catalogues, in the order in which equals come.
        called: what the indexes are called.
        numbering: how images are numbered among all.
        twins: numbers of images whose contents an index before theirs has, and the numbers that they go by.
    """

    def __init__(self, parts: Mapping[str, Catalog]) -> None:
        """Join catalogues, by what their indexes are called."""
        self.called, self.parts = list(parts), list(parts.values())
        self.path, self.meta = self.parts[0].path, self.parts[0].meta
        self.stamp = tuple(chain.from_iterable(part.stamp for part in self.parts))
        self.numbering = numbering_of(self.parts)
        self.twins = _twins(self.parts, self.numbering)
        self._others: dict[int, list[tuple[int, int]]] = {}  # where else the images are that have twins
        for number, first in sorted(self.twins.items()):
            self._others.setdefault(first, []).append(self.numbering.place_of(number))

    @property
    def superseded(self) -> bool:
        """Whether there is a newer generation of any of them."""
        return any(part.superseded for part in self.parts)

    def folder(self, key: str) -> str | None:
        """A folder that all descriptions name alike, or None."""
        folders = {part.folder(key) for part in self.parts}
        return folders.pop() if len(folders) == 1 else None

    @cached_property
    def has_verdicts(self) -> bool:
        """Whether there is any verdict on a pair of images."""
        return any(part.has_verdicts for part in self.parts)

    def images(self, match: str | None = None) -> Iterator[ImageRecord]:
        """As that of one catalogue, index by index."""
        for place, part in enumerate(self.parts):
            records = part.images(match)
            while page := list(islice(records, _PAGE)):
                yield from self._told(place, page)

    def names(self, *, only_files: bool = False) -> Iterator[str]:
        """As that of one catalogue, index by index."""
        for place, part in enumerate(self.parts):
            names = part.names(only_files=only_files)
            while page := list(islice(names, _PAGE)):
                yield from self._names_told(place, page).values()

    def records_of(self, images: Sequence[int]) -> list[ImageRecord]:
        """As that of one catalogue."""
        found = [
            record
            for place, own in self._by_place(images).items()
            for record in self._told(place, self.parts[place].records_of(own))
        ]
        return sorted(found, key=lambda record: record.id)

    def fitting(self, match: str) -> list[int]:
        """As that of one catalogue."""
        return sorted({self.number(place, one) for place, part in enumerate(self.parts) for one in part.fitting(match)})

    def names_of(self, images: Sequence[int], match: str | None = None) -> dict[int, list[str]]:
        """As that of one catalogue."""
        found: dict[int, list[str]] = {}
        for place, own in self._by_place(images).items():
            named = self.parts[place].names_of(own, match)
            told = self._names_told(place, [name for names in named.values() for name in names])
            for image, names in named.items():
                found.setdefault(self.number(place, image), []).extend(told[name] for name in names)
        return {image: found.get(self.twins.get(image, image), []) for image in images}

    def files_of(self, image: int) -> list[tuple[str, tuple[int, int]]]:
        """As that of one catalogue."""
        found = []
        for place, own in self.holders(image):
            files = self.parts[place].files_of(own)
            told = self._names_told(place, [name for name, _ in files])
            found += [(told[name], stamp) for name, stamp in files]
        return found

    def numbers(self, after: int = 0, match: str | None = None, form: str | None = None) -> Iterator[int]:
        """As that of one catalogue."""
        if match is not None:  # by a name that only a later index has, too
            parts = enumerate(self.parts)
            fitting = {self.number(place, own) for place, part in parts for own in part.numbers(0, match, form)}
            yield from sorted(number for number in fitting if number > after)
            return
        every = heapq.merge(*(self._numbers_in(place, after, form) for place in range(len(self.parts))))
        yield from (number for number in every if number not in self.twins)

    def count(self, after: int = 0, form: str | None = None) -> int:
        """As that of one catalogue."""
        every = sum(part.count(self.numbering.own_after(place, after), form) for place, part in enumerate(self.parts))
        twins = [number for number in self.twins if number > after]
        formats = {} if form is None else {one.id: one.format or "" for one in self._records_of_twins()}
        return every - sum(form is None or formats[one].lower() == form.lower() for one in twins)

    def newest(self) -> int:
        """The highest number."""
        newest = (
            self.numbering.number_of(place, part.newest()) for place, part in enumerate(self.parts) if part.newest()
        )
        return max(newest, default=0)

    def in_order_of_contents(self) -> list[int]:
        """As that of one catalogue."""
        contents = (
            (content, self.numbering.number_of(place, own))
            for place, part in enumerate(self.parts)
            for own, content in part.contents_of(part.in_order_of_contents()).items()
        )
        return [number for _, number in sorted(contents) if number not in self.twins]

    def image_with(self, sha256: str) -> int | None:
        """As that of one catalogue."""
        for place, part in enumerate(self.parts):
            own = part.image_with(sha256)
            if own is not None:
                return self.numbering.number_of(place, own)
        return None

    def contents_of(self, images: Iterable[int]) -> dict[int, str]:
        """As that of one catalogue."""
        found: dict[int, str] = {}
        for place, own in self._by_place(images, all_holders=False).items():
            found |= {
                self.numbering.number_of(place, image): one for image, one in self.parts[place].contents_of(own).items()
            }
        return found

    def named_with(self, contents: Iterable[str], match: str | None = None) -> dict[str, tuple[int, list[str]]]:
        """As that of one catalogue."""
        wanted, found = list(contents), dict[str, tuple[int, list[str]]]()
        for place, part in enumerate(self.parts):
            named = part.named_with(wanted, match)
            told = self._names_told(place, [name for _, names in named.values() for name in names])
            for content, (own, names) in named.items():
                found.setdefault(content, (self.number(place, own), []))[1].extend(told[name] for name in names)
        return found

    def content_named(self, name: str) -> str | None:
        """As that of one catalogue; of a name that several have, that of the first."""
        contents = (self.parts[place].content_named(own) for place, own in self.meant(name))
        return next((content for content in contents if content is not None), None)

    def known_among(self, names: Iterable[str]) -> set[str]:
        """As that of one catalogue."""
        return {name for name in names if self.content_named(name) is not None}

    def verdicts(self) -> dict[tuple[int, int], bool]:
        """As that of one catalogue. What an index says goes before what those say that come after it."""
        judged = self.verdicts_by_content()
        named = self.named_with({content for pair in judged for content in pair}) if judged else {}
        found = {}
        for (a, b), is_copy in judged.items():
            if a in named and b in named:
                one, other = sorted((named[a][0], named[b][0]))
                found[one, other] = is_copy
        return dict(sorted(found.items()))

    def verdicts_by_content(self) -> dict[tuple[str, str], bool]:
        """As that of one catalogue."""
        found: dict[tuple[str, str], bool] = {}
        for part in reversed(self.parts):
            found |= part.verdicts_by_content()
        return found

    def verdicts_of(self, sha256: str) -> dict[str, bool]:
        """As that of one catalogue."""
        found: dict[str, bool] = {}
        for part in reversed(self.parts):
            found |= part.verdicts_of(sha256)
        return found

    def totals(self) -> Totals:
        """As those of one catalogue."""
        every = [part.totals() for part in self.parts]
        sums = [sum(counts) for counts in zip(*map(dataclasses.astuple, every), strict=True)]
        twice = {record.id: record.features for record in self._records_of_twins()}
        joined = Totals(*sums)
        return dataclasses.replace(
            joined, features=joined.features - sum(twice.values()), verdicts=len(self.verdicts_by_content())
        )

    def rows(self, statement: str, *values: Any) -> NoReturn:
        """There is no one file that a statement could be asked of."""
        raise NotImplementedError(f"several catalogues are not asked {statement!r}")

    def number(self, place: int, image: int) -> int:
        """The number that an image goes by, by the place of its index and its number there."""
        number = self.numbering.number_of(place, image)
        return self.twins.get(number, number)

    def holders(self, image: int) -> list[tuple[int, int]]:
        """Where an image is: the places of the indexes that have it, in order, and its number in each.

        One that an index before its own has got since is found by its former number, too.
        """
        first = self.twins.get(image, image)
        return [self.numbering.place_of(first), *self._others.get(first, [])]

    def meant(self, name: str) -> list[tuple[int, str]]:
        """What a name may mean: places of indexes, and the name there, the likeliest first."""
        prefixed = [
            (place, name[len(called) + 1 :])
            for place, called in enumerate(self.called)
            if name.startswith(f"{called}:")
        ]
        return [*prefixed, *((place, name) for place in range(len(self.parts)))]

    def _numbers_in(self, place: int, after: int, form: str | None) -> Iterator[int]:
        for own in self.parts[place].numbers(self.numbering.own_after(place, after), None, form):
            yield self.numbering.number_of(place, own)

    def _told(self, place: int, records: Sequence[ImageRecord]) -> list[ImageRecord]:
        """Records of an index, as they are told of all."""
        told = self._names_told(place, [record.name for record in records])
        return [
            dataclasses.replace(record, id=self.number(place, record.id), name=told[record.name]) for record in records
        ]

    def _names_told(self, place: int, names: Collection[str]) -> dict[str, str]:
        """Names of an index, by what they are told as."""
        others = [part for other, part in enumerate(self.parts) if other != place]
        twice = set().union(*(part.known_among(names) for part in others))
        twice |= {name for name in names if any(name.startswith(f"{called}:") for called in self.called)}
        return {name: f"{self.called[place]}:{name}" if name in twice else name for name in names}

    def _by_place(self, images: Iterable[int], *, all_holders: bool = True) -> dict[int, list[int]]:
        """The numbers that images have in each index, by its place, in order; those that name no index are left out."""
        every = (self.holders(image) if all_holders else [self.numbering.place_of(image)] for image in images)
        found: dict[int, list[int]] = {}
        for place, own in sorted(set(chain.from_iterable(every))):
            if 0 <= place < len(self.parts):
                found.setdefault(place, []).append(own)
        return found

    def _records_of_twins(self) -> list[ImageRecord]:
        """What is known of images that are in an index before theirs, under their numbers among all."""
        own: dict[int, list[int]] = {}
        for number in self.twins:
            own.setdefault(self.numbering.place_of(number)[0], []).append(self.numbering.place_of(number)[1])
        return [
            dataclasses.replace(record, id=self.numbering.number_of(place, record.id))
            for place, images in own.items()
            for record in self.parts[place].records_of(images)
        ]


def _twins(parts: Sequence[Catalog], numbering: Numbering) -> dict[int, int]:
    """Numbers of images whose contents an earlier index has, and their numbers there."""
    found: dict[int, int] = {}
    seen = np.empty(0, np.uint64)
    for place, part in enumerate(parts):
        ids, heads = _heads_of(part)
        likely = part.contents_of(ids[np.isin(heads, seen)].tolist())
        for own, content in likely.items():
            for before in range(place):
                first = parts[before].image_with(content)
                if first is not None:
                    found[numbering.number_of(place, own)] = numbering.number_of(before, first)
                    break
        seen = np.union1d(seen, heads)
    return found


def _heads_of(catalog: Catalog) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """(N,) numbers of the images of a catalogue, and (N,) the first eight bytes of their contents (SHA-256)."""
    if catalog not in _heads:
        numbers, heads = [], []
        found = catalog.numbers()
        while page := list(islice(found, _PAGE)):
            contents = catalog.contents_of(page)
            numbers += [np.array(list(contents), np.int64)]
            heads += [np.array([int(content[:16], 16) for content in contents.values()], np.uint64)]
        nothing = np.empty(0, np.int64), np.empty(0, np.uint64)
        _heads[catalog] = np.concatenate([nothing[0], *numbers]), np.concatenate([nothing[1], *heads])
    return _heads[catalog]
