from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import StoreError
from featmatch.features.looks import LOOK
from featmatch.store.postings import Postings, quantised, restored
from featmatch.store.segment import FORMAT_VERSION, IMAGE_COLUMNS, MANIFEST, Segment
from featmatch.store.segment_writer import IndexedImage, SegmentWriter, write_segment

WORDS = 11


def made_images(seed: int, counts: list[int]) -> list[IndexedImage]:
    random = np.random.default_rng(seed)
    images = []
    for count in counts:
        width, height = (int(side) for side in random.integers(50, 4000, 2))
        postings = quantised(
            random.uniform(0, [width - 1, height - 1], (count, 2)).astype(np.float32),
            random.uniform(0, 2 * np.pi, count).astype(np.float32),
            random.uniform(1, 300, count).astype(np.float32),
            random.integers(1 << 63, size=count).astype(np.uint64),
            max(width, height),
        )
        words = random.integers(WORDS, size=count).astype(np.int32)
        phash, look = random.integers(1 << 63, dtype=np.uint64), np.frombuffer(random.bytes(LOOK.itemsize), LOOK)[0]
        images.append(IndexedImage(width, height, words, postings, phash, look))
    return images


def written(folder: Path, seed: int = 0, counts: tuple[int, ...] = (9, 1, 17)) -> list[IndexedImage]:
    images = made_images(seed, list(counts))
    write_segment(folder, images, list(range(40, 40 + len(images))), WORDS)
    return images


def opened(folder: Path, words: int = WORDS) -> Segment:
    """As the catalogue would have it opened, whatever its manifest says now."""
    manifest = folder / MANIFEST
    sha256 = hashlib.sha256(manifest.read_bytes()).digest() if manifest.is_file() else b""
    return Segment.open(folder, words, sha256)


@pytest.mark.parametrize("long_side", [17, 640, 5001, 60_000])
def test_features_are_restored_within_the_step_of_quantisation(long_side: int) -> None:
    random = np.random.default_rng(long_side)
    keypoints = random.uniform(0, long_side - 1, (501, 2)).astype(np.float32)
    angles = random.uniform(0, 2 * np.pi, 501).astype(np.float32)
    sizes = np.exp2(random.uniform(0, 15, 501)).astype(np.float32)
    postings = quantised(keypoints, angles, sizes, np.zeros(501, np.uint64), long_side)
    points, turned, octaves = restored(postings, np.arange(501), np.full(501, long_side, np.int32))
    np.testing.assert_allclose(points, keypoints, rtol=0, atol=0.51 * long_side / 65_535 + 1e-3)
    off = np.abs((turned - angles + np.pi) % (2 * np.pi) - np.pi)
    assert off.max() <= np.pi / 256 + 1e-5
    np.testing.assert_allclose(octaves, np.log2(sizes), rtol=0, atol=1 / 32 + 1e-5)


def test_an_angle_just_below_a_full_turn_becomes_none() -> None:
    angles = np.array([0, 2 * np.pi - 1e-4, 2 * np.pi], np.float32)
    postings = quantised(np.zeros((3, 2), np.float32), angles, np.ones(3, np.float32), np.zeros(3, np.uint64), 100)
    assert postings.angle.tolist() == [0, 0, 0]


def test_what_is_out_of_range_is_clipped() -> None:
    keypoints = np.array([[-0.5, 0], [99.5, 200]], np.float32)
    sizes = np.array([0.01, 1e9], np.float32)
    postings = quantised(keypoints, np.zeros(2, np.float32), sizes, np.zeros(2, np.uint64), 100)
    assert postings.x[0] == 0
    assert postings.y[1] == 65_535
    assert postings.size.tolist() == [0, 255]


def test_an_open_segment_equals_a_plain_inverted_file(tmp_path: Path) -> None:
    images = written(tmp_path / "000001", counts=(9, 0, 1, 130, 33))
    inverted: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for number, image in enumerate(images):
        columns = image.postings
        for row, word in enumerate(image.words):
            posting = (columns.signature, columns.x, columns.y, columns.angle, columns.size)
            inverted[int(word)].append((number, *(int(column[row]) for column in posting)))
    segment = opened(tmp_path / "000001")
    names = ("image", "signature", "x", "y", "angle", "size")
    for word in range(WORDS):
        own = slice(int(segment.offsets[word]), int(segment.offsets[word + 1]))
        found = zip(*(getattr(segment.postings, name)[own].tolist() for name in names), strict=True)
        assert list(found) == inverted[word]
    assert segment.ids.tolist() == [40, 41, 42, 43, 44]
    assert segment.widths.tolist() == [image.width for image in images]
    assert segment.heights.tolist() == [image.height for image in images]
    assert segment.features.tolist() == [9, 0, 1, 130, 33]


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(tmp_path / name)
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert files == sorted(file.name for file in (tmp_path / "b").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_a_feature_takes_at_most_18_bytes_in_the_posting_columns(tmp_path: Path) -> None:
    written(tmp_path / "000001")
    postings = opened(tmp_path / "000001").postings
    columns = [getattr(postings, field.name) for field in dataclasses.fields(Postings)]
    assert sum(column.dtype.itemsize for column in columns) <= 18


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", [1, 4, 12])
def test_a_failure_while_writing_leaves_no_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, call: int
) -> None:
    calls = 0

    def failing(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise failure

    monkeypatch.setattr("featmatch.store.segment_writer.os.fsync", failing)
    with pytest.raises(type(failure)):
        written(tmp_path / "segments" / "000001")
    assert list((tmp_path / "segments").iterdir()) == []


def test_a_failing_rename_leaves_no_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(old: Path, new: Path) -> None:
        raise OSError("no rename today")

    with monkeypatch.context() as patch:
        patch.setattr("featmatch.store.segment_writer.os.rename", failing)
        with pytest.raises(OSError, match="no rename"):
            written(tmp_path / "segments" / "000001")
    assert list((tmp_path / "segments").iterdir()) == []


def test_an_orphan_of_the_same_number_is_replaced(tmp_path: Path) -> None:
    written(tmp_path / "000001", seed=1, counts=(5,))
    (tmp_path / "000001" / "stray").write_text("left over")
    (tmp_path / "000001.partial").mkdir()
    (tmp_path / "000001.partial" / "half.npy").write_bytes(b"half")
    written(tmp_path / "000001", seed=2, counts=(7, 8))
    assert opened(tmp_path / "000001").features.tolist() == [7, 8]
    assert os.listdir(tmp_path) == ["000001"]
    assert not (tmp_path / "000001" / "stray").exists()


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
    (folder / "segment.json").write_text(json.dumps({**manifest, "version": FORMAT_VERSION + 1}))


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
        opened(tmp_path / "000001")


@pytest.mark.parametrize(
    "manifest", ["", "no json", "[]", "{}", "null", '{"version": 1}', '{"version": 1, "files": []}', "\x00\xff"]
)
def test_a_damaged_manifest_is_refused(tmp_path: Path, manifest: str) -> None:
    written(tmp_path / "000001")
    (tmp_path / "000001" / "segment.json").write_bytes(manifest.encode("latin-1"))
    with pytest.raises(StoreError, match="000001"):
        opened(tmp_path / "000001")


def test_a_manifest_that_is_not_the_catalogues_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "000001")
    with pytest.raises(StoreError, match=MANIFEST):
        Segment.open(tmp_path / "000001", WORDS, bytes(32))


def test_a_segment_written_in_parts_is_the_same_to_the_byte(tmp_path: Path) -> None:
    images = written(tmp_path / "whole")
    segment = opened(tmp_path / "whole")
    counts = np.array([len(image.words) for image in images])
    tables = {name: getattr(segment, name) for name in IMAGE_COLUMNS} | {"features": counts}
    with SegmentWriter(tmp_path / "parts", tables, WORDS) as writer:
        for first, last in ((0, 4), (4, 5), (5, WORDS)):
            rows = slice(int(segment.offsets[first]), int(segment.offsets[last]))
            words = np.repeat(np.arange(first, last), np.diff(segment.offsets[first : last + 1].astype(int)))
            part = {field.name: getattr(segment.postings, field.name)[rows] for field in dataclasses.fields(Postings)}
            writer.append(words, Postings(**part))
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "parts" / path.name).read_bytes() == path.read_bytes()
    assert writer.manifest_sha256 == hashlib.sha256((tmp_path / "whole" / MANIFEST).read_bytes()).digest()


def test_a_segment_that_lacks_postings_is_not_kept(tmp_path: Path) -> None:
    tables = {name: np.full(1, 5, dtype) for name, dtype in IMAGE_COLUMNS.items() if name != "looks"}
    with (
        pytest.raises(StoreError),
        SegmentWriter(tmp_path / "000001", tables | {"looks": np.zeros(1, LOOK)}, WORDS),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_segment_of_another_vocabulary_size_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "000001")
    with pytest.raises(StoreError):
        opened(tmp_path / "000001", WORDS + 1)
