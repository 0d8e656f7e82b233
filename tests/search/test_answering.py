"""Each picture has its answer, in order, also where it cannot be had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from featmatch import ImageError
from featmatch.images.named import NamedPicture
from featmatch.images.pixels import ImageSource
from featmatch.search.answering import answer_each
from featmatch.search.matches import Matches

GONE = ImageError("not_found", "gone")


@pytest.mark.parametrize("ahead", [1, 3, 100])
@pytest.mark.parametrize("names", ["", "a", "-", "a-", "-a", "--ab-c--"])
def test_answers_are_in_order(names: str, ahead: int) -> None:
    asked: list[ImageSource] = []

    def query_many(sources: Iterator[ImageSource]) -> Iterable[Matches]:
        waiting: list[ImageSource] = []
        for source in sources:
            waiting.append(source)
            if len(waiting) == ahead:
                yield answer(waiting.pop(0))
        yield from map(answer, waiting)

    def answer(source: ImageSource) -> Matches:
        asked.append(source)
        return Matches(message=f"of {source!s}")

    pictures = [NamedPicture(f"{at}{name}", GONE if name == "-" else name) for at, name in enumerate(names)]
    answers = list(answer_each(pictures, query_many))
    assert [picture for picture, _ in answers] == pictures
    assert [found.message for _, found in answers] == ["gone" if name == "-" else f"of {name}" for name in names]
    assert {found.status for picture, found in answers if picture.source is GONE} <= {"not_found"}
    assert asked == [name for name in names if name != "-"]
