"""Made catalogues, for tests."""

from __future__ import annotations

from pathlib import Path

from featmatch.store.catalog import Catalog
from featmatch.store.generation import Change, change_catalog
from featmatch.store.records import ImageRecord


def sha(content: int) -> str:
    return f"{content:064x}"


def add(path: Path, names: dict[str, int], text: str | None = None) -> int:
    """As ``add`` does it: name -> content; contents that are not there make a segment. Returns its number."""
    with change_catalog(path) as change:
        return add_to(change, names, text)


def add_to(change: Change, names: dict[str, int], text: str | None = None) -> int:
    """The same, as a part of a change."""
    segment = change.next_segment()
    new = 0
    for name, content in names.items():
        image = change.image_with(sha(content))
        if image is None:
            image = change.add_image(sha(content), 100 + content, (640, 480), 10, segment)
            new += 1
        change.name(name, image, 1_700_000_000_000_000_000 + content, text)
    if new:
        change.add_segment(segment, new, 10 * new, bytes(32))
    return segment


def remove(path: Path, *names: str) -> list[str]:
    with change_catalog(path) as change:
        return change.remove(names)


def record(image: int, name: str, content: int, text: str | None = None) -> ImageRecord:
    return ImageRecord(
        image, name, 100 + content, 1_700_000_000_000_000_000 + content, sha(content), 640, 480, 10, text
    )  # fmt: skip


def names(path: Path) -> list[str]:
    return [image.name for image in Catalog(path).images()]


def live(path: Path) -> tuple[list[int], frozenset[int]]:
    catalog = Catalog(path)
    return [segment.id for segment in catalog.segments()], catalog.removed()
