"""How answers are shown in notebooks."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import featmatch
from featmatch import ImageError, Match, Matches, MissingFeatureError
from featmatch.notebooks import frame_of, png_of
from featmatch.search.matches import COLUMNS
from tests.geometry.known_maps import shift
from tests.proof.proofs import made_proof

MATCH = Match(12, "<script>.jpg", made_proof(shift(40, 20), (200, 160), (320, 213)))


def test_matches_are_tables() -> None:
    assert repr(MATCH).startswith("Match('<script>.jpg': crop of, probability 0.")
    shown = Matches([MATCH, MATCH])._repr_html_()
    assert (shown.count("<tr>"), "<script>" in shown, "ok, 2 found" in shown) == (3, False, True)
    assert MATCH._repr_html_().count("<tr>") == 2


def test_matches_are_frames_of_pandas() -> None:
    pytest.importorskip("pandas")
    frame = Matches([MATCH, MATCH]).to_pandas()
    assert list(frame.columns) == list(COLUMNS)
    assert (list(frame["name"]), list(frame["kind"])) == (["<script>.jpg"] * 2, ["crop"] * 2)
    assert frame["probability"][0] == pytest.approx(MATCH.probability, abs=1e-6)
    assert (len(Matches().to_pandas()), list(Matches().to_pandas().columns)) == (0, list(COLUMNS))


def test_without_pandas_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingFeatureError, match=r"featmatch\[pandas\]"):
        frame_of([], ["name"])


def test_drawings_are_png_where_the_images_can_be_read() -> None:
    content = png_of(lambda: np.full((3, 5, 3), 7, np.uint8))
    assert content is not None
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.size, picture.getpixel((4, 2))) == ("PNG", (5, 3), (7, 7, 7))

    def away() -> None:
        raise ImageError("not_found", "no such file")

    assert png_of(away) is None  # type: ignore[arg-type]


def test_a_verification_is_its_drawing(small_photos: Path) -> None:
    proof = featmatch.verify(small_photos / "coins.png", small_photos / "coins.png")
    assert repr(proof).startswith("Verification(True: copy: ")
    content = proof._repr_png_()
    assert content is not None
    with Image.open(io.BytesIO(content)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), proof.draw())
