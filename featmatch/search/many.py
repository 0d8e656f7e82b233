"""Many pictures, each looked up in the same state of an index: one after the other, or shared between processes."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np

from featmatch.arguments import check_kind, check_number
from featmatch.errors import FeatmatchError, ImageError, UsageError
from featmatch.features.extraction import Features
from featmatch.features.forms import Forms, forms_of
from featmatch.geometry.matches import GeometryOptions
from featmatch.images.decoding import USUAL, DecodingOptions, file_of
from featmatch.images.pixels import GreyImage, ImageSource
from featmatch.images.sources import buffered
from featmatch.search.matches import Matches
from featmatch.search.region import QueryRegion
from featmatch.search.shards import Shards
from featmatch.search.stages import Readers, Search
from featmatch.search.voting import VotingOptions
from featmatch.store.joined import reader_of
from featmatch.store.open_catalog import Stamp
from featmatch.store.reader import Folders, Reader
from featmatch.system.workers import in_order, processes_for

_FEW_IMAGES = 12  # starting processes takes longer than looking up so few
_AHEAD = 8  # answers for each process that may wait for an earlier one
_SEARCH_SECONDS = 10.0  # more than searches take; one that takes longer is done again, without a limit


@dataclass(frozen=True)
class SearchOptions:
    """How pictures are looked up; ``Index.query`` explains each."""

    limit: int = 10  # 1 or more
    unproven: bool = False
    match: str | None = None
    voting: VotingOptions | None = None
    geometry: GeometryOptions | None = None
    decoding: DecodingOptions = USUAL
    region: QueryRegion | None = None
    forms: Forms = "few"

    def __post_init__(self) -> None:
        check_number(self.limit, "limit", 1)
        check_kind(self.match, "match", str)
        forms_of(self.forms)

    def search_in(self, readers: Readers, shards: Shards | None = None) -> Search:
        """The search of one picture; where ``shards`` are given, they are asked. Raises as ``Search.of``."""
        search = Search.of(
            readers, match=self.match, voting=self.voting, geometry=self.geometry, decoding=self.decoding,
            region=self.region, forms=self.forms,
        )  # fmt: skip
        return search if shards is None else replace(search, shards=shards.begun())


@dataclass(frozen=True)
class _State:
    """The state of an index, for other processes to open."""

    folders: Folders
    root: str | None
    stamp: Stamp
    name: str | None  # what it is called, where several are asked as one


_States: TypeAlias = "tuple[_State, ...]"


def look_up(
    readers: Readers, image: ImageSource | Features, options: SearchOptions, shards: Shards | None = None
) -> Matches:
    """Look one picture up; ``Index.query`` has the arguments, and what is raised. ``shards`` are asked, if given."""
    search = options.search_in(readers, shards)
    source = image if isinstance(image, Features) else buffered(image)
    return search.answer(source, limit=options.limit, unproven=options.unproven)


def look_up_each(
    readers: Readers,
    images: Iterable[ImageSource],
    options: SearchOptions,
    *,
    jobs: int,
    shards: Shards | None = None,
) -> Iterator[Matches]:
    """Look many pictures up, in order; ``Index.query_many`` has the arguments, and what is raised.

    ``shards`` are asked, if given, by this process alone.
    """
    if isinstance(images, (str, bytes, bytearray, os.PathLike, np.ndarray)) or not isinstance(images, Iterable):
        raise UsageError(f"images is a list of images, not {type(images).__name__}")
    search = options.search_in(readers, shards)  # before the first answer is asked for: what cannot be meant is refused
    every = [readers] if isinstance(readers, Reader) else list(readers.values())
    states = tuple(
        _State(reader.folders, reader.whereabouts.given, snapshot.catalog.stamp, name)
        for reader, snapshot, name in zip(every, search.snapshots, search.shards.names, strict=True)
    )
    # What this process knows of trust, others cannot know.
    alone = shards is not None or any(reader.trust_problem is not None for reader in every)
    return _answers(search, states, images, options, 1 if alone else jobs)


def _answers(
    search: Search, states: _States, images: Iterable[ImageSource], options: SearchOptions, jobs: int
) -> Generator[Matches, None, None]:
    images = map(buffered, images)
    first = list(itertools.islice(images, _FEW_IMAGES))
    processes = processes_for(jobs, sys.maxsize) if len(first) == _FEW_IMAGES else 1
    images = itertools.chain(first, images)
    del first
    answers = (
        _in_turn(search, images, options)
        if processes == 1
        else _in_processes(search, states, images, options, processes)
    )
    with contextlib.closing(answers):
        yield from answers


def _in_turn(search: Search, images: Iterable[ImageSource], options: SearchOptions) -> Generator[Matches, None, None]:
    with contextlib.closing(search.load_each(images)) as loaded:
        for image, grey in loaded:
            yield _answer(search, image, grey, options)


def _in_processes(
    search: Search, states: _States, images: Iterable[ImageSource], options: SearchOptions, processes: int
) -> Generator[Matches, None, None]:
    """Whole searches in other processes. Whatever goes wrong there is done again here, as with one job.

    So a picture of the index that crashes its decoder is not at hand, as ever, and costs no query its answer.
    """
    taken: deque[ImageSource] = deque()

    def tasks() -> Iterator[tuple[object, ...]]:
        for image in images:
            taken.append(image)
            yield states, options, _portable(search, image)

    seconds, memory_bytes = options.decoding.timeout + _SEARCH_SECONDS, options.decoding.memory_bytes
    results = in_order(
        _answer_in_process, tasks(), jobs=processes, seconds=seconds, memory_bytes=memory_bytes, ahead=_AHEAD
    )
    with contextlib.closing(results):
        for result in results:
            image = taken.popleft()
            yield result if isinstance(result, Matches) else _answer(search, image, None, options)


def _answer(search: Search, image: ImageSource, grey: GreyImage | ImageError | None, options: SearchOptions) -> Matches:
    try:
        if isinstance(grey, ImageError):
            raise grey
        return search.for_another().answer(image, grey, limit=options.limit, unproven=options.unproven)
    except ImageError as error:
        return Matches(status=error.status, message=error.message)


def _portable(search: Search, image: ImageSource) -> str | bytes | GreyImage | None:
    """What another process can look up; None where there is nothing."""
    file = file_of(image)
    if file is not None:
        return file
    try:
        return search.load(image)
    except FeatmatchError:  # raised in its turn
        return None


def _answer_in_process(
    states: _States, options: SearchOptions, image: str | bytes | GreyImage | None
) -> Matches | None:
    """The answer; None where the caller has to find it, since this process cannot."""
    if image is None:
        return None
    try:
        search = _search(states, options)
        if any(one.catalog.stamp != state.stamp for one, state in zip(search.snapshots, states, strict=True)):
            return None  # a writer was quicker
        answer = search.for_another().answer(image, limit=options.limit, unproven=options.unproven)
        return None if answer.missing else answer
    except Exception:  # the caller sees it, too, and says it in the right words
        return None


@lru_cache(maxsize=1)
def _search(states: _States, options: SearchOptions) -> Search:
    cv2.setNumThreads(1)  # the processes share the cores already
    readers = {state.name: reader_of(state.folders, state.root) for state in states}
    return options.search_in(readers[None] if None in readers else {str(name): one for name, one in readers.items()})
