"""Several catalogues say what one says that has all of their images."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from featmatch import UsageError
from featmatch.images.metadata import Metadata
from featmatch.store.browsing import count_images, list_images
from featmatch.store.catalog import Catalog
from featmatch.store.generation import change_catalog, create_catalog
from featmatch.store.joined_catalog import JoinedCatalog
from featmatch.store.numbers import BY_INDEX

# Name and content of each image, by index; content 3 is in three of them, 5 in two.
PARTS = (
    [("one.jpg", 1), ("two.png", 2), ("three.jpg", 3), ("three again.jpg", 3)],
    [("third.jpg", 3), ("four.png", 4), ("five.jpg", 5)],
    [("fifth.jpg", 5), ("six harbour.jpg", 6), ("also three.jpg", 3)],
)
VERDICTS = ([(1, 2, True)], [(3, 4, False), (1, 6, True)], [(1, 2, False), (5, 77, True)])


def content(number: int) -> str:
    return f"{(number * 2654435761) % (1 << 32):08x}" * 8


def made(path: Path, files: Sequence[tuple[str, int]], verdicts: Sequence[tuple[int, int, bool]]) -> Catalog:
    create_catalog(path, {"root": "/photos"})
    with change_catalog(path) as change:
        change.add_segment(1, len(files), 0, bytes(32))
        images: dict[int, int] = {}
        for name, number in files:
            form = Metadata(format=name[-3:].upper())
            if number not in images:
                images[number] = change.add_image(content(number), 100 + number, (9, 9), 10 * number, 1, form)
            change.name(name, images[number], 5, "text")
        for a, b, is_copy in verdicts:
            change.judge(content(a), content(b), is_copy)
    return Catalog(path)


@pytest.fixture
def one(tmp_path: Path) -> Catalog:
    every = [verdict for verdicts in reversed(VERDICTS) for verdict in verdicts]
    return made(tmp_path / "one.sqlite", [file for part in PARTS for file in part], every)


@pytest.fixture
def joined(tmp_path: Path) -> JoinedCatalog:
    parts = {
        f"{number}.fm": made(tmp_path / f"{number}.sqlite", files, verdicts)
        for number, (files, verdicts) in enumerate(zip(PARTS, VERDICTS, strict=True))
    }
    return JoinedCatalog(parts)


def at_home(found: Any, number: dict[int, int]) -> Any:
    """What the one says, in the numbers of the other."""
    if isinstance(found, bool) or found is None or isinstance(found, str):
        return found
    if isinstance(found, int):
        return number[found]
    return type(found)(at_home(one, number) for one in found)


def test_what_one_catalogue_says_is_said(one: Catalog, joined: JoinedCatalog) -> None:
    number = {one.image_with(content(n)): joined.image_with(content(n)) for n in range(1, 7)}
    own = {mine: theirs for mine, theirs in number.items() if mine and theirs}
    assert list(own.values()) == [1, 2, 3, BY_INDEX.number_of(1, 2), BY_INDEX.number_of(1, 3), BY_INDEX.number_of(2, 2)]
    of_one, of_all = list(own), list(own.values())

    def records(found: Any, *, are_mine: bool) -> list[Any]:
        return [(own[it.id] if are_mine else it.id, *list(vars(it).values())[1:]) for it in found]

    assert records(joined.images(), are_mine=False) == records(one.images(), are_mine=True)
    assert records(joined.records_of(of_all), are_mine=False) == records(one.records_of(of_one), are_mine=True)
    assert joined.names_of(of_all) == {own[image]: names for image, names in one.names_of(of_one).items()}
    assert [joined.files_of(image) for image in of_all] == [one.files_of(image) for image in of_one]
    assert joined.contents_of(of_all) == {own[image]: it for image, it in one.contents_of(of_one).items()}
    assert joined.in_order_of_contents() == at_home(one.in_order_of_contents(), own)
    for match in (None, "harbour", "three", "third", "text"):
        if match is not None:
            assert joined.fitting(match) == at_home(one.fitting(match), own)
        for form in (None, "jpg", "PNG"):
            for mine in (0, *of_one):
                after = own.get(mine, 0)
                assert list(joined.numbers(after, match, form)) == at_home(list(one.numbers(mine, match, form)), own)
                assert count_images(joined, after=after, match=match, form=form) == count_images(
                    one, after=mine, match=match, form=form
                )
                assert len(list_images(joined, after=after, limit=2)) == len(list_images(one, after=mine, limit=2))
        wanted = list(map(content, range(9)))
        assert joined.named_with(wanted, match) == {
            it: (own[image], names) for it, (image, names) in one.named_with(wanted, match).items()
        }
    of_twin = BY_INDEX.number_of(2, 3)
    assert joined.names_of([of_twin, 3])[of_twin] == joined.names_of([3])[3]
    assert joined.records_of([of_twin]) == joined.records_of([3])
    assert joined.contents_of([of_twin]) == {of_twin: content(3)}
    assert joined.newest() == BY_INDEX.number_of(2, 3)
    for name in ("one.jpg", "third.jpg", "also three.jpg", "none"):
        assert joined.content_named(name) == one.content_named(name)
    assert joined.known_among(["one.jpg", "none", "fifth.jpg"]) == {"one.jpg", "fifth.jpg"}
    assert list(joined.names()) == list(one.names())
    assert joined.has_verdicts
    assert joined.verdicts() == {(own[a], own[b]): copy for (a, b), copy in one.verdicts().items()}
    assert [joined.verdicts_of(content(n)) for n in range(7)] == [one.verdicts_of(content(n)) for n in range(7)]
    assert joined.totals() == one.totals()
    with pytest.raises(UsageError):
        list(joined.images("!"))


def test_nothing_is_left_of_what_an_index_reads_of_a_catalogue(joined: JoinedCatalog) -> None:
    of_writers = {"segments", "removed", "stamps_of", "sizes_among", "queued", "names_beginning"}
    public = {name for name, it in vars(Catalog).items() if not name.startswith("_") and not isinstance(it, str)}
    assert public - set(vars(JoinedCatalog)) == of_writers
    assert set(vars(joined)) >= {"path", "meta", "stamp"}
    assert inspect.signature(Catalog.numbers) == inspect.signature(JoinedCatalog.numbers)
    with pytest.raises(NotImplementedError):
        joined.rows("SELECT 1")


def test_a_newer_generation_of_any_is_seen(joined: JoinedCatalog) -> None:
    assert not joined.superseded
    with change_catalog(joined.parts[1].path) as change:
        change.name("more.jpg", 1, 5)
    assert joined.superseded


def test_names_that_need_their_index_have_it(tmp_path: Path) -> None:
    first = made(tmp_path / "a.sqlite", [("x.jpg", 1), ("a:y.jpg", 2), ("z.jpg", 7)], ())
    second = made(tmp_path / "b.sqlite", [("x.jpg", 3), ("y.jpg", 4)], ())
    joined = JoinedCatalog({"a": first, "b": second})
    names = [record.name for record in joined.images()]
    assert names == ["a:x.jpg", "a:a:y.jpg", "z.jpg", "b:x.jpg", "y.jpg"]
    assert [joined.content_named(name) for name in names] == [content(n) for n in (1, 2, 7, 3, 4)]
    assert joined.content_named("x.jpg") == content(1)
    assert joined.folder("root") == "/photos"
