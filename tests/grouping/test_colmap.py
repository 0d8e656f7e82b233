"""The files that hloc and COLMAP read."""

from __future__ import annotations

import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from featmatch import Index
from featmatch.grouping.colmap import write_database, write_pairs
from featmatch.grouping.two_views import TwoViews, images_in
from tests.grouping.conftest import mapped


def test_the_database_is_as_colmap_reads_it(edited_index: Index, edited_views: list[TwoViews], tmp_path: Path) -> None:
    pairs = [view.proven for view in edited_views]
    images = images_in(edited_index, pairs)
    names = dict(one for pair in pairs for one in pair.numbered_names())
    assert write_database(tmp_path / "d.db", images, names, edited_views) == 3
    with closing(sqlite3.connect(tmp_path / "d.db")) as database:
        told = dict(database.execute("SELECT name, image_id FROM images"))
        assert told == {name: number for number, name in names.items()}
        for number, width, height in database.execute("SELECT camera_id, width, height FROM cameras"):
            assert (width, height) == (images[number].features.width, images[number].features.height)
        keypoints = {
            number: np.frombuffer(data, "<f4").reshape(rows, columns)
            for number, rows, columns, data in database.execute("SELECT * FROM keypoints")
        }
        found = database.execute("SELECT pair_id, rows, cols, data, config, H FROM two_view_geometries").fetchall()
        assert database.execute("SELECT pair_id, rows, cols, data FROM matches").fetchall() == [
            one[:4] for one in found
        ]
    assert len(found) == 3
    for pair, rows, columns, data, config, homography in found:
        one, other = divmod(pair, 2**31 - 1)
        numbers = np.frombuffer(data, "<u4").reshape(rows, columns)
        there = mapped(np.frombuffer(homography, "<f8").reshape(3, 3), keypoints[one][numbers[:, 0], :2])
        assert np.abs(there - keypoints[other][numbers[:, 1], :2]).max() < 6
        assert np.median(np.abs(there - keypoints[other][numbers[:, 1], :2])) < 0.4
        assert config == 6
    first = images[min(images)].features
    np.testing.assert_allclose(keypoints[min(images)][:, :2], first.keypoints + 0.5)


def test_names_that_are_no_unicode_are_in_the_database_as_their_bytes(
    edited_index: Index, edited_views: list[TwoViews], tmp_path: Path
) -> None:
    images = images_in(edited_index, [view.proven for view in edited_views])
    names = {number: os.fsdecode(b"caf%c.png" % (0xE0 + number)) for number in images}
    write_database(tmp_path / "d.db", images, names, edited_views)
    with closing(sqlite3.connect(tmp_path / "d.db")) as database:
        database.text_factory = bytes
        told = dict(database.execute("SELECT image_id, name FROM images WHERE typeof(name) = 'text'"))
    assert told == {number: os.fsencode(name) for number, name in names.items()}


def test_a_database_that_finds_no_room_leaves_the_former_file(
    edited_index: Index, edited_views: list[TwoViews], tmp_path: Path
) -> None:
    images = images_in(edited_index, [view.proven for view in edited_views])
    target = tmp_path / "d.db"
    target.write_bytes(b"former")
    with room_for_files_of(4096), pytest.raises(OSError, match="disk"):
        write_database(target, images, {one: str(one) for one in images}, edited_views)
    assert (target.read_bytes(), os.listdir(tmp_path)) == (b"former", ["d.db"])


@contextmanager
def room_for_files_of(most_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: writing more fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_list_for_hloc_leaves_out_names_that_it_cannot_read(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.png")
    names = [("a.png", "b.png"), ("a b.png", "c.png"), (odd, "日本.png"), ("two\nlines.png", "c.png")]
    assert write_pairs(tmp_path / "pairs.txt", names) == [names[1], names[3]]
    assert (tmp_path / "pairs.txt").read_bytes() == b"a.png b.png\ncaf\xe9.png \xe6\x97\xa5\xe6\x9c\xac.png\n"
