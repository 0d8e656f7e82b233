from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import StoreError
from featmatch.features.looks import FEW_FEATURES
from featmatch.store.segment import (
    FORMAT_VERSION,
    MANIFEST,
    Segment,
    are_any_equal,
    damaged_files,
    parts_for,
    read_manifest,
)
from featmatch.store.values import MOST_SIDE
from tests.store.segments import WORDS, open_again, written


def test_an_open_segment_equals_a_plain_inverted_file(tmp_path: Path) -> None:
    images = written(tmp_path / "000001", counts=(9, 0, 1, 130, 33))
    inverted: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for number, image in enumerate(images):
        columns = image.postings
        for row, word in enumerate(image.words):
            posting = (columns.signature, columns.x, columns.y, columns.angle, columns.size)
            inverted[int(word)].append((number, *(int(column[row]) for column in posting)))
    segment = open_again(tmp_path / "000001")
    names = ("image", "signature", "x", "y", "angle", "size")
    for word in range(WORDS):
        own = slice(int(segment.offsets[word]), int(segment.offsets[word + 1]))
        found = zip(*(getattr(segment.postings, name)[own].tolist() for name in names), strict=True)
        assert list(found) == inverted[word]
    assert segment.ids.tolist() == [40, 41, 42, 43, 44]
    assert segment.widths.tolist() == [image.width for image in images]
    assert segment.heights.tolist() == [image.height for image in images]
    assert segment.features.tolist() == [9, 0, 1, 130, 33]


def remove_signatures(folder: Path) -> None:
    (folder / "signature.npy").unlink()


def remove_manifest(folder: Path) -> None:
    (folder / "segment.json").unlink()


def cut_short(folder: Path) -> None:
    content = (folder / "x.npy").read_bytes()
    (folder / "x.npy").write_bytes(content[:-1])


def lengthen(folder: Path) -> None:
    with (folder / "ids.npy").open("ab") as file:
        file.write(b"\0")


def spoil_header(folder: Path) -> None:
    content = (folder / "offsets.npy").read_bytes()
    (folder / "offsets.npy").write_bytes(b"?" * 16 + content[16:])


def other_version(folder: Path) -> None:
    manifest = json.loads((folder / "segment.json").read_text())
    (folder / "segment.json").write_text(json.dumps({**manifest, "version": FORMAT_VERSION + 2}))


def rewrite(folder: Path, name: str, values: NDArray[Any]) -> None:
    """Another column of the same size in bytes."""
    with (folder / f"{name}.npy").open("wb") as file:
        np.save(file, values)


def other_type(folder: Path) -> None:
    rewrite(folder, "signature", np.load(folder / "signature.npy").view(np.int64))


def other_shape(folder: Path) -> None:
    rewrite(folder, "x", np.load(folder / "x.npy")[:, None])


def falling_offsets(folder: Path) -> None:
    offsets = np.load(folder / "offsets.npy")
    offsets[3] = offsets[-1] + 1
    rewrite(folder, "offsets", offsets)


def late_offsets(folder: Path) -> None:
    offsets = np.load(folder / "offsets.npy")
    offsets[0] = 1
    rewrite(folder, "offsets", offsets)


def no_width(folder: Path) -> None:
    widths = np.load(folder / "widths.npy")
    widths[1] = 0
    rewrite(folder, "widths", widths)


def negative_features(folder: Path) -> None:
    features = np.load(folder / "features.npy")
    features[0] = -1
    rewrite(folder, "features", features)


def no_folder(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


@pytest.mark.parametrize(
    "damage",
    [
        remove_signatures, remove_manifest, cut_short, lengthen, spoil_header, other_version, no_folder, other_type,
        other_shape, falling_offsets, late_offsets, no_width, negative_features,
    ],
)  # fmt: skip
def test_a_damaged_segment_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    written(tmp_path / "000001")
    damage(tmp_path / "000001")
    with pytest.raises(StoreError, match="000001"):
        open_again(tmp_path / "000001")


@pytest.mark.parametrize(
    "manifest", ["", "no json", "[]", "{}", "null", '{"version": 1}', '{"version": 1, "files": []}', "\x00\xff"]
)
def test_a_damaged_manifest_is_refused(tmp_path: Path, manifest: str) -> None:
    written(tmp_path / "000001")
    (tmp_path / "000001" / "segment.json").write_bytes(manifest.encode("latin-1"))
    with pytest.raises(StoreError, match="000001"):
        open_again(tmp_path / "000001")


def test_a_manifest_that_is_not_the_catalogues_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "000001")
    with pytest.raises(StoreError, match=MANIFEST):
        Segment.open(tmp_path / "000001", WORDS, bytes(32))


def test_a_segment_of_another_vocabulary_size_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "000001")
    with pytest.raises(StoreError):
        open_again(tmp_path / "000001", WORDS + 1)


def test_votes_count_by_the_root_of_the_features(tmp_path: Path) -> None:
    written(tmp_path / "000001", counts=(4, 0, 100, 1))
    weights = open_again(tmp_path / "000001").weights
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [0.5, 1, 0.1, 1])


def test_images_with_few_features_are_plain(tmp_path: Path) -> None:
    written(tmp_path / "000001", counts=(FEW_FEATURES, 0, FEW_FEATURES - 1, 500))
    segment = open_again(tmp_path / "000001")
    assert segment.plain.tolist() == [1, 2]
    assert repr(segment) == f"Segment(4 images, {2 * FEW_FEATURES + 499} postings)"


@pytest.mark.parametrize(
    ("numbers", "equal"),
    [([], False), ([7], False), ([1, 2, 3], False), ([3, 1, 2], False), ([1, 1], True), ([5, 2, 5], True)],
)
def test_equal_numbers_are_seen_in_any_order(numbers: list[int], equal: bool) -> None:
    assert are_any_equal(np.array(numbers, np.int64)) == equal


def test_damaged_files_are_named(tmp_path: Path) -> None:
    written(tmp_path / "000001")
    manifest = hashlib.sha256((tmp_path / "000001" / MANIFEST).read_bytes()).digest()
    assert damaged_files(tmp_path / "000001", manifest) == []
    content = bytearray((tmp_path / "000001" / "x.npy").read_bytes())
    content[-1] ^= 1
    (tmp_path / "000001" / "x.npy").write_bytes(content)
    told = f"segment {tmp_path / '000001'} is damaged"
    assert damaged_files(tmp_path / "000001", manifest) == [f"{told}: x.npy is not as it was written"]
    (tmp_path / "000001" / "y.npy").unlink()
    assert [problem.startswith(told) for problem in damaged_files(tmp_path / "000001", manifest)] == [True, True]
    assert damaged_files(tmp_path / "000001", bytes(32)) == [f"{told}: {MANIFEST} is not as it was written"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"widths": [1, 1]}, "image columns are not of one length"),
        ({"phashes": [1]}, "image columns are not of one length"),
        ({"offsets": [0, 10, 27]}, "posting lists do not fit"),
        ({"heights": [1, 0, 1]}, "no size"),
        ({"widths": [1, MOST_SIDE + 1, 1]}, "one that cannot be"),
        ({"features": [1, 2, -1]}, "fewer than no features"),
        ({"ids": [1, 2, 0]}, "no number"),
        ({"ids": [2, 1, 2]}, "one that another has"),
    ],
)
def test_columns_that_cannot_be_are_told(tmp_path: Path, changes: dict[str, list[int]], told: str) -> None:
    written(tmp_path / "000001")
    segment = open_again(tmp_path / "000001")
    segment._validate(WORDS)
    columns: dict[str, Any] = {name: np.array(values) for name, values in changes.items()}
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(segment, **columns)._validate(WORDS)


def test_the_largest_side_is_one(tmp_path: Path) -> None:
    written(tmp_path / "000001")
    segment = open_again(tmp_path / "000001")
    dataclasses.replace(segment, widths=np.array([MOST_SIDE, 1, 1], np.int32))._validate(WORDS)


@pytest.mark.parametrize(("old", "new"), [('"bytes": ', '"bytes": -'), ('"sha256": "', '"sha256": "00')])
def test_a_manifest_says_how_large_and_with_which_checksum(tmp_path: Path, old: str, new: str) -> None:
    written(tmp_path / "000001")
    path = tmp_path / "000001" / MANIFEST
    files = read_manifest(tmp_path / "000001", hashlib.sha256(path.read_bytes()).digest())
    assert set(files) == {file.name for file in path.parent.glob("*.npy")}
    assert files["x.npy"]["bytes"] == (path.parent / "x.npy").stat().st_size
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(StoreError, match="damaged"):
        read_manifest(tmp_path / "000001", hashlib.sha256(path.read_bytes()).digest())


def test_each_image_has_its_picture_or_none(tmp_path: Path) -> None:
    images = written(tmp_path / "000001", counts=(9, 4, 1, 0, 33))
    segment = open_again(tmp_path / "000001")
    assert [segment.picture(row).tobytes() for row in range(5)] == [one.picture.tobytes() for one in images]
    assert segment.picture_bytes.tolist() == [len(one.picture) for one in images]
    assert (segment.picture_bytes > 0).tolist() == [True, False, True, False, True]


def without_pictures(folder: Path) -> None:
    """As format 2 was written."""
    manifest = json.loads((folder / "segment.json").read_text())
    for name in ("pictures.npy", "picture_bytes.npy"):
        (folder / name).unlink()
        del manifest["files"][name]
    (folder / "segment.json").write_text(json.dumps({**manifest, "version": 2}))


def test_a_segment_of_format_2_has_no_pictures(tmp_path: Path) -> None:
    images = written(tmp_path / "000001")
    without_pictures(tmp_path / "000001")
    segment = open_again(tmp_path / "000001")
    assert segment.picture_bytes.tolist() == [0, 0, 0]
    assert [len(segment.picture(row)) for row in range(3)] == [0, 0, 0]
    assert segment.widths.tolist() == [image.width for image in images]
    assert (
        damaged_files(tmp_path / "000001", hashlib.sha256((tmp_path / "000001" / MANIFEST).read_bytes()).digest()) == []
    )


@pytest.mark.parametrize(
    ("version", "told"), [(1, "format 1; .* reads 2 to 4"), (5, "format 5; "), ([3], r"format \[3\]")]
)
def test_another_format_is_refused_by_its_number(tmp_path: Path, version: object, told: str) -> None:
    written(tmp_path / "000001")
    manifest = json.loads((tmp_path / "000001" / MANIFEST).read_text())
    (tmp_path / "000001" / MANIFEST).write_text(json.dumps({**manifest, "version": version}))
    with pytest.raises(StoreError, match=told):
        open_again(tmp_path / "000001")


def test_format_3_without_pictures_is_damage(tmp_path: Path) -> None:
    written(tmp_path / "000001")
    without_pictures(tmp_path / "000001")
    manifest = json.loads((tmp_path / "000001" / MANIFEST).read_text())
    (tmp_path / "000001" / MANIFEST).write_text(json.dumps({**manifest, "version": 3}))
    with pytest.raises(StoreError, match="damaged"):
        open_again(tmp_path / "000001")


# ---------------------------------------------------------------- in parts


@pytest.fixture
def _cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small segments are cut as large ones are."""
    monkeypatch.setattr("featmatch.store.segment.MANY_FEATURES", 0)
    monkeypatch.setattr("featmatch.store.segment._PART", 1)


@pytest.mark.usefixtures("_cut")
def test_lists_of_a_large_segment_are_in_parts_by_the_highest_bits(tmp_path: Path) -> None:
    images = written(tmp_path / "000001", counts=(90, 1, 170))
    segment = open_again(tmp_path / "000001")
    assert json.loads((tmp_path / "000001" / MANIFEST).read_text())["version"] == 4
    assert (segment.parts, segment.is_outdated) == (16, False)
    found = []
    for place, (first, end) in enumerate(itertools.pairwise(segment.offsets.tolist())):
        word, part = divmod(place, 16)
        rows = segment.postings.signature[first:end]
        assert (rows >> np.uint64(60) == part).all()
        assert (np.diff(segment.postings.image[first:end].astype(int)) >= 0).all()
        found += [(word, int(signature)) for signature in rows]
    expected = [(int(w), int(s)) for one in images for w, s in zip(one.words, one.postings.signature, strict=True)]
    assert sorted(found) == sorted(expected)
    assert segment.lists.tolist() == np.cumsum([0, *np.bincount([w for w, _ in expected], minlength=WORDS)]).tolist()


def test_only_large_segments_are_in_parts() -> None:
    words = 1 << 20
    assert [parts_for(features, words) for features in (0, 20_000_000, 20_000_001, 1 << 26, 1 << 32)] == [
        1,
        1,
        1,
        4,
        256,
    ]


@pytest.mark.usefixtures("_cut")
@pytest.mark.parametrize("parts", [0, 3, 512])
def test_parts_that_are_none_are_damage(tmp_path: Path, parts: int) -> None:
    written(tmp_path / "000001")
    column = tmp_path / "000001" / "offsets.npy"
    manifest = json.loads((tmp_path / "000001" / MANIFEST).read_text())
    np.save(
        column, np.full(WORDS * parts + 1, 27, np.uint32) * np.arange(WORDS * parts + 1, dtype=np.uint32).clip(0, 1)
    )
    manifest["files"]["offsets.npy"] = {"bytes": column.stat().st_size, "sha256": "00" * 32}
    (tmp_path / "000001" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="damaged"):
        open_again(tmp_path / "000001")
