"""Pictures as they were named, and the answer to each, in order; one that cannot be had has an answer, too."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from featmatch.errors import ImageError
from featmatch.images.named import NamedPicture
from featmatch.images.pixels import ImageSource
from featmatch.search.matches import Matches


def answer_each(
    pictures: Iterable[NamedPicture], query_many: Callable[[Iterator[ImageSource]], Iterable[Matches]]
) -> Iterator[tuple[NamedPicture, Matches]]:
    """Look up each picture; what is not there yet when it is asked for may be taken some way ahead of the answers.

    Args:
        pictures: any number.
        query_many: answers pictures in order, as ``Index.query_many`` does.
    """
    taken: deque[NamedPicture] = deque()

    def sources() -> Iterator[ImageSource]:
        for picture in pictures:
            taken.append(picture)
            if not isinstance(picture.source, ImageError):
                yield picture.source

    def without_source() -> Iterator[tuple[NamedPicture, Matches]]:
        while taken and isinstance(error := taken[0].source, ImageError):
            yield taken.popleft(), Matches(status=error.status, message=error.message)

    for matches in query_many(sources()):
        yield from without_source()
        yield taken.popleft(), matches
    yield from without_source()
