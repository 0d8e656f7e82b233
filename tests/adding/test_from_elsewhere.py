"""Pictures at addresses and in tables are added under their names, and what cannot be had is reported."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from featmatch import Index, Vocabulary
from featmatch.adding.from_elsewhere import add_from_elsewhere
from featmatch.images.addresses import Fetching
from featmatch.images.decoding import USUAL


def test_they_are_added_and_found(
    tiny_vocabulary: Vocabulary, small_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index.open(tmp_path / "i.fm", create=True, vocabulary=tiny_vocabulary)
    content = (small_photos / "coins.png").read_bytes()
    monkeypatch.setattr(Fetching, "fetch", lambda self, url: content)
    names = ["https://a.example/coins.png", "http://127.0.0.1:80/", str(tmp_path / "none.jpg")]
    report = add_from_elsewhere(names[:1], index, lambda pictures: index.add_images(pictures, jobs=1), USUAL)
    assert (report.added, report.failed) == (names[:1], [])
    monkeypatch.undo()
    report = add_from_elsewhere(names[1:], index, lambda pictures: index.add_images(pictures, jobs=1), USUAL)
    assert {(one.name, one.status) for one in report.failed} == {(name, "not_found") for name in names[1:]}
    part = io.BytesIO()
    Image.open(io.BytesIO(content)).crop((20, 20, 280, 200)).save(part, "PNG")
    assert [match.name for match in index.query(part.getvalue())] == names[:1]
