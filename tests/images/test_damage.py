from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import featmatch
from featmatch.errors import ImageError
from featmatch.images.damage import rows_that_came
from featmatch.images.pixels import load_grey

TURNS = {1: None, 3: 2, 6: 3, 8: 1}  # EXIF orientation -> quarter turns of NumPy's that show it upright


def encoded(picture: NDArray[np.uint8], suffix: str, **how: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, suffix, **how)
    return file.getvalue()


def grey(content: bytes, **how: Any) -> Any:
    return load_grey(content, longest_px=2000, **how)


@pytest.mark.parametrize(
    ("suffix", "how"),
    [
        ("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}), ("TIFF", {}), ("BMP", {}),
        ("PPM", {}), ("WEBP", {}),
    ],
)  # fmt: skip
def test_whole_files_are_not_damaged(photos: dict[str, NDArray[np.uint8]], suffix: str, how: dict[str, Any]) -> None:
    assert not grey(encoded(photos["coins"], suffix, **how)).damaged
    assert not grey(encoded(photos["coins"], suffix, **how) + b"something behind").damaged


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"quality": 95, "subsampling": 0}])
@pytest.mark.parametrize("lacking", [1, 2])
def test_a_jpeg_without_its_end_is_read_whole(
    photos: dict[str, NDArray[np.uint8]], how: dict[str, Any], lacking: int
) -> None:
    content = encoded(photos["coffee"], "JPEG", **how)
    whole, cut = grey(content, colours=True), grey(content[:-lacking], colours=True)
    assert cut.damaged
    assert np.array_equal(cut.pixels, whole.pixels)
    assert np.array_equal(cut.colours, whole.colours)
    assert (cut.width, cut.height, cut.offset_x, cut.offset_y) == (whole.width, whole.height, 0, 0)


@pytest.mark.parametrize(
    ("suffix", "how"),
    [("JPEG", {}), ("PNG", {}), ("GIF", {"interlace": 0}), ("TIFF", {}), ("PPM", {})],
)
def test_half_a_file_is_its_upper_part(photos: dict[str, NDArray[np.uint8]], suffix: str, how: dict[str, Any]) -> None:
    content = encoded(photos["coffee"], suffix, **how)
    whole, cut = grey(content), grey(content[: len(content) // 2])
    rows = len(cut.pixels)
    assert cut.damaged
    assert 0.3 * len(whole.pixels) < rows < 0.7 * len(whole.pixels)
    assert np.array_equal(cut.pixels[:-1], whole.pixels[: rows - 1])
    assert (cut.width, cut.height) == (whole.width, whole.height)


def test_half_a_file_that_begins_below_is_its_lower_part(photos: dict[str, NDArray[np.uint8]]) -> None:
    content = encoded(photos["coffee"], "BMP")
    whole, cut = grey(content), grey(content[: len(content) // 2])
    rows = len(cut.pixels)
    assert cut.damaged
    assert np.array_equal(cut.pixels, whole.pixels[-rows:])
    assert cut.offset_y == whole.height - rows


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("longest_px", [2000, 300, 100])
def test_what_came_lies_where_it_is_in_the_whole(
    photos: dict[str, NDArray[np.uint8]], orientation: int, longest_px: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(photos["coffee"], "JPEG", exif=exif)
    whole = load_grey(content, longest_px=longest_px)
    cut = load_grey(content[: len(content) // 2], longest_px=longest_px)
    assert (cut.width, cut.height) == (whole.width, whole.height)
    assert min(cut.pixels.shape) < 0.75 * max(cut.pixels.shape)
    working_from_cut = np.linalg.inv(whole.original_from_working) @ cut.original_from_working
    scale_x, scale_y, (left, top) = working_from_cut[0, 0], working_from_cut[1, 1], np.rint(working_from_cut[:2, 2])
    assert abs(scale_x - 1) < 0.02
    assert abs(scale_y - 1) < 0.02
    height, width = cut.pixels.shape
    inside = np.s_[2 : height - 2, 2 : width - 2]
    shown = whole.pixels[int(top) :, int(left) :][:height, :width][inside]
    assert np.abs(cut.pixels[inside][: shown.shape[0], : shown.shape[1]].astype(int) - shown).mean() < 6


@pytest.mark.parametrize("how", [{}, {"progressive": True}])
def test_next_to_nothing_of_a_jpeg_is_no_picture(photos: dict[str, NDArray[np.uint8]], how: dict[str, Any]) -> None:
    content = encoded(photos["coffee"], "JPEG", **how)
    with pytest.raises(ImageError, match="cut short: 0 of 400 rows"):
        grey(content[: content.index(b"\xff\xda") + 20])


@pytest.mark.parametrize(("suffix", "how", "share"), [("PNG", {}, 0.01), ("GIF", {"interlace": 1}, 0.5)])
def test_few_rows_or_some_here_and_there_are_no_picture(
    photos: dict[str, NDArray[np.uint8]], suffix: str, how: dict[str, Any], share: float
) -> None:
    content = encoded(photos["coffee"], suffix, **how)
    with pytest.raises(ImageError, match=r"short|truncated") as raised:
        grey(content[: int(share * len(content))])
    assert raised.value.status == "decode_failed"


def test_a_plain_page_without_its_end_is_a_plain_page() -> None:
    content = encoded(np.full((200, 300), 255, np.uint8), "JPEG")[:-2]
    cut = grey(content)
    assert cut.damaged
    assert cut.pixels.shape == (200, 300)


def test_verify_says_which_is_damaged(photo_folder: Path, tmp_path: Path) -> None:
    content = encoded(np.asarray(Image.open(photo_folder / "coffee.png")), "JPEG")
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    proof = featmatch.verify(tmp_path / "cut.jpg", photo_folder / "coffee.png")
    assert proof.damaged == (True, False)
    assert proof.proof is not None
    assert proof.proof.relation.kind == "copy"
    assert np.abs(proof.proof.homography - np.eye(3)).max() < 1
    assert (proof.to_dict()["query_damaged"], proof.to_dict()["damaged"]) == (True, False)
    back = featmatch.verify(photo_folder / "coffee.png", tmp_path / "cut.jpg")
    assert back.damaged == (False, True)
    assert (back.to_dict()["query_damaged"], back.to_dict()["damaged"]) == (False, True)


def test_a_damaged_file_is_indexed_and_its_matches_say_so(
    photo_folder: Path, vocabulary_file: Path, tmp_path: Path
) -> None:
    content = encoded(np.asarray(Image.open(photo_folder / "coffee.png")), "JPEG")
    (tmp_path / "cut.jpg").write_bytes(content[:-2])
    index = featmatch.Index.open(tmp_path / "i.fm", create=True, vocabulary=vocabulary_file)
    report = index.add([tmp_path / "cut.jpg", photo_folder / "coins.png"])
    assert report.damaged == [str(tmp_path / "cut.jpg")]
    (match,) = index.query(photo_folder / "coffee.png")
    assert match.damaged
    matches = index.query(tmp_path / "cut.jpg")
    assert matches.damaged
    assert not index.query(photo_folder / "coins.png").damaged


def rows(kind: str, *parts: tuple[int, int | None], side: int = 40) -> tuple[int, int]:
    """The rows that came of parts of a picture: of so many rows each, of one grey, or without one."""
    shown = np.random.default_rng(0).integers(0, 100, (100, side)).astype(np.uint8)
    grey = np.concatenate([shown[:count] if tone is None else np.full((count, side), tone) for count, tone in parts])
    return rows_that_came(Image.fromarray(grey.astype(np.uint8)), kind)


def test_rows_of_one_value_at_the_end_or_the_beginning_did_not_come() -> None:
    assert rows("PNG", (30, None), (10, 0)) == (0, 30)
    assert rows("BMP", (10, 0), (30, None)) == (10, 40)
    assert rows("BMP", (4, 0), (20, None), (9, 0)) == (0, 24)
    assert rows("PNG", (30, None), (10, 7), (10, None)) == (0, 50)
    assert rows("PNG", (16, None), (84, 0)) == (0, 16)
    assert rows("PNG", (3, None)) == (0, 3)


@pytest.mark.parametrize(
    ("kind", "tone", "came"),
    [("PNG", 0, 0), ("PNG", 128, 0), ("PNG", 127, 40), ("PNG", 200, 40), ("JPEG", 127, 0), ("JPEG", 129, 0),
     ("MPO", 128, 0), ("JPEG", 126, 40), ("JPEG", 0, 40)],
)  # fmt: skip
def test_a_picture_of_one_tone_came_unless_it_is_that_of_missing_rows(kind: str, tone: int, came: int) -> None:
    if came:
        assert rows(kind, (40, tone)) == (0, came)
    else:
        with pytest.raises(ImageError, match=r"^the file is cut short: 0 of 40 rows came$"):
            rows(kind, (40, tone))


def test_few_rows_are_no_picture() -> None:
    with pytest.raises(ImageError, match=r"^the file is cut short: 15 of 99 rows came$"):
        rows("PNG", (15, None), (84, 0))


@pytest.mark.parametrize(("kind", "bottom"), [("JPEG", 50), ("MPO", 50), ("PNG", 60)])
def test_rows_of_a_jpeg_that_are_filler_in_part_did_not_come(kind: str, bottom: int) -> None:
    shown = np.random.default_rng(0).integers(0, 100, (80, 40)).astype(np.uint8)
    shown[50:60, 32:] = 129
    shown[60:] = 128
    assert rows_that_came(Image.fromarray(shown), kind) == (0, bottom)
    shown[10:60, 32:] = 129
    if kind != "PNG":  # no more than one row of blocks, and what is smoothed into it
        assert rows_that_came(Image.fromarray(shown), kind) == (0, 60 - 32)
