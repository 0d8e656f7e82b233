from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from featmatch import StoreError
from featmatch.store import parts
from featmatch.store.catalog import Catalog
from featmatch.store.database import Database, is_intact
from featmatch.store.parts import Part
from tests.store.catalogues import add


def test_a_reader_that_comes_too_late_for_a_part_opens_the_newer_catalogue(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "RECENT_NAMES", 3)
    add(path, {f"{number}.jpg": number for number in range(1, 9)})
    attached, added = parts.attached, {f"{number}.jpg": number for number in range(10, 40)}

    def late(*arguments: Any) -> list[Part]:
        if added:
            add(path, added)
            added.clear()
        return attached(*arguments)

    monkeypatch.setattr("featmatch.store.open_catalog.attached", late)
    assert len(list(Catalog(path).names())) == 38


def test_a_catalogue_that_was_replaced_while_it_was_opened_is_opened_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Database.__init__
    calls = 0

    def open_late(self: Database, *arguments: Any, **options: Any) -> None:
        nonlocal calls
        calls += 1
        opened(self, *arguments, **options)
        if calls == 1:
            monkeypatch.undo()
            add(path, {"a.jpg": 1})

    monkeypatch.setattr(Database, "__init__", open_late)
    catalog = Catalog(path)
    assert list(catalog.names()) == ["a.jpg"]
    assert not catalog.superseded


def test_a_catalogue_that_is_gone_is_an_error(path: Path) -> None:
    catalog = Catalog(path)
    path.unlink()
    with pytest.raises(StoreError, match="cannot read catalogue"):
        assert catalog.superseded
    with pytest.raises(StoreError, match="cannot read catalogue"):
        is_intact(path)
