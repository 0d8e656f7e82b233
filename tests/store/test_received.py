"""An index that someone sent: what is in it is checked before it is used (``tools/attack_index.py`` goes further)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import featmatch
from featmatch import FeatureOptions, Index, StoreError, UsageError, Vocabulary
from featmatch.cli import cli
from featmatch.grouping import remembered
from featmatch.grouping.joining import stored_images
from featmatch.store import pair_log
from featmatch.store.layout import segment_folder
from featmatch.store.segment import Segment
from tools import forging
from tools.small_index import small_index


@pytest.fixture
def picture(built: Path) -> Path:
    return built.parent / "pictures" / "001.png"


def test_a_vocabulary_with_trees_of_older_versions_opens_and_answers(
    small_words: Vocabulary, built: Path, tmp_path: Path
) -> None:
    trees = np.frombuffer(b"kmeans\n" + bytes(5000), np.uint8)
    vocabulary = replace(small_words, search="flann", flann_tree=trees)
    small_index(tmp_path / "index", vocabulary).add([built.parent / "pictures"], jobs=1)
    index = Index.open(tmp_path / "index")
    for name in ("000.png", "003.png"):
        assert index.query(built.parent / "pictures" / name)[0].name.endswith(name)
    assert featmatch.check(tmp_path / "index")


def test_postings_of_images_that_are_not_there_end_every_use(folder: Path, picture: Path) -> None:
    forging.filled("image", 2)(folder, folder)  # one beyond the last
    (folder / "pairs.log").unlink()  # or nothing is left to compare
    index = Index.open(folder)
    uses: list[Callable[[], object]] = [
        lambda: index.query(picture),
        lambda: index.explain(picture, str(picture)),
        lambda: index.groups(jobs=1),
        index.compact,
        lambda: list(stored_images([index.snapshot.segments[1]], [1, 2], "sift")),
    ]
    for use in uses:
        with pytest.raises(StoreError, match="a posting names an image that is not there"):
            use()
    assert len(Index.open(folder).snapshot.segments) == 2
    assert any("names an image that is not there" in problem for problem in featmatch.check(folder).problems)


def test_no_image_is_in_two_segments(folder: Path) -> None:
    forging.filled("ids", 2, 0, 2)(folder, folder)
    with pytest.raises(StoreError, match="an image is in two segments"):
        Index.open(folder)


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (forging.filled("ids", 7), "one that another has"),
        (forging.filled("ids", 0, 0), "no number"),
        (forging.filled("widths", 1 << 29, 0), "one that cannot be"),
        (forging.filled("heights", 0, 0), "no size"),
        (forging.filled("features", -1, 0), "fewer than no features"),
        (forging.filled("picture_bytes", 7, 0), "its pictures do not fit"),
        (forging.other_column("pictures", np.zeros(9, np.uint8)), "its pictures do not fit"),
        (forging.other_column("picture_bytes", np.zeros(1, np.uint32)), "not of one length"),
        (forging.other_column("pictures", np.zeros(9, np.int8)), "pictures.npy"),
        (forging.manifest("[" * 200_000), "damaged"),
        (forging.manifest("{" + " " * (1 << 16) + "}"), "damaged"),
        (forging.sql("UPDATE segments SET images = 3 WHERE id = 1"), "not as large as the catalogue says"),
        (forging.sql("UPDATE segments SET features = features + 1 WHERE id = 1"), "not as large as the catalogue says"),
        (forging.options(shortest_px=2001), "shortest_px"),
        (forging.options(features=60.0), "features is 60.0"),
        (forging.options(features=True), "features is True"),
        (forging.options(features="60"), "features is '60'"),
        (forging.options(detector=7), "detector is 7"),
        (forging.options(more=1), "other options"),
        (forging.said("features", ["sift"]), "other options"),
        (forging.options(detector="orb"), "its vocabulary is for sift"),
    ],
)
def test_an_index_that_cannot_be_is_not_opened(folder: Path, attack: forging.Attack, told: str) -> None:
    attack(folder, folder)
    with pytest.raises(StoreError, match=told):
        Index.open(folder)
    ended = CliRunner().invoke(cli, ["list", str(folder)], standalone_mode=False)
    assert ended.return_value == 2
    assert len(ended.output.splitlines()) == 1
    assert not featmatch.check(folder)


def test_a_manifest_says_how_large_and_with_which_checksum(folder: Path) -> None:
    text = (segment_folder(folder, 1) / "segment.json").read_text()
    for other in (text.replace('"bytes": ', '"bytes": -'), text.replace('"sha256": "', '"sha256": "00')):
        assert other != text
        forging.described(folder, other)
        with pytest.raises(StoreError, match=r"segment .* is damaged"):
            Index.open(folder)


def test_options_of_an_index_may_leave_out_what_is_the_default() -> None:
    assert FeatureOptions.of_index({"detector": "orb"}) == FeatureOptions("orb")
    with pytest.raises(UsageError):
        FeatureOptions.of_index({"features": 60})


def test_images_that_the_catalogue_does_not_have_join_no_group(folder: Path, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.png").write_bytes(picture.read_bytes() + b"of the same pixels")
    index = Index.open(folder)
    index.add([tmp_path / "copy.png"], jobs=1)
    assert len(index.groups(jobs=1)) == 1
    (folder / "pairs.log").unlink()
    forging.in_catalog(folder, "DELETE FROM names WHERE image = 2", "DELETE FROM images WHERE id = 2")
    assert len(Index.open(folder).groups(jobs=1)) == 0
    assert any("image 2 is not in the catalogue" in problem for problem in featmatch.check(folder).problems)


def test_pairs_that_cannot_be_are_not_believed(folder: Path) -> None:
    digests = {record.id: int(record.sha256[:16], 16) for record in Index.open(folder).images()}
    forging.pairs()(folder, folder)
    assert list(remembered.recall(folder, digests).pairs) == [(1, 2)]
    forging.pairs(between=np.array([[1, 1]]))(folder, folder)
    assert pair_log.is_damaged(folder)
    known = remembered.recall(folder, digests)
    assert (known.compared, known.pairs) == (set(), {})
    assert len(Index.open(folder).groups(jobs=1)) == 0


def test_a_record_that_says_it_is_long_is_not_read(folder: Path) -> None:
    forging.record(folder, b"short", 1 << 62)
    assert remembered.recall(folder, {}).compared == set()
    assert not pair_log.is_damaged(folder)  # the end of a run that was killed looks the same


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (forging.pictures(lambda one: one[:4].fill(0)), "0 x 0 px"),
        (forging.pictures(lambda one: one[2:4].fill(255)), "x 65535 px"),
        (forging.pictures(lambda one: one[4:5].fill(0)), "in steps of 0"),
        (forging.pictures(lambda one: one, most=4), "has 4 bytes"),
    ],
)
def test_a_picture_that_cannot_be_ends_what_needs_it(
    folder: Path, picture: Path, attack: forging.Attack, told: str
) -> None:
    attack(folder, folder)
    index = Index.open(folder)
    picture_of = index.snapshot.stored_picture
    for use in (lambda: picture_of(2), lambda: index.picture_of(str(picture))):
        with pytest.raises(StoreError, match=f"the index is damaged: of image 2, a stored picture.*{told}"):
            use()
    assert any("of image 2, a stored picture" in problem for problem in featmatch.check(folder).problems)


def test_a_picture_of_any_bytes_is_one(folder: Path, picture: Path) -> None:
    honest = Index.open(folder).picture_of(str(picture))
    forging.pictures(lambda one: one[5:].fill(255))(folder, folder)
    index = Index.open(folder)
    assert honest is not None
    forged = index.picture_of(str(picture))
    assert forged is not None
    assert forged.shape == honest.shape
    assert (forged != honest).any()
    assert featmatch.check(folder)


def test_a_column_is_not_unpickled(folder: Path, tmp_path: Path) -> None:
    forging.column(folder, "x", forging.pickled(tmp_path))
    with pytest.raises(StoreError, match=r"x\.npy"):
        Index.open(folder)
    assert not (tmp_path / "pickled").exists()


def test_a_column_must_be_there(folder: Path) -> None:
    (segment_folder(folder, 2) / "x.npy").unlink()
    with pytest.raises(StoreError, match=r"x\.npy"):
        Index.open(folder)
    shutil.rmtree(segment_folder(folder, 2))
    (segment_folder(folder, 2)).write_text("no folder")
    with pytest.raises(StoreError, match="000002"):
        Segment.open(segment_folder(folder, 2), 256, bytes(32))
