"""Indexes as each released version of the format wrote them, to open for ever (``tools/make_format_index.py``)."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featmatch import FeatureOptions, Index, StoreError, VocabularyError, check, extract
from featmatch.store.generation import change_catalog
from featmatch.store.open_catalog import FORMAT_VERSION, PARTS_VERSION

KEPT = sorted((Path(__file__).parent / "indexes").glob("*-[0-9]*"))


def test_one_is_kept_of_each_version() -> None:
    assert [folder.name for folder in KEPT] == [
        *(f"format-{version}" for version in range(2, FORMAT_VERSION + 1)),
        "format-3-pictures",  # segments of format 3
        f"format-{PARTS_VERSION}",  # names in a part
        "segment-4",  # lists in parts
    ]
    assert all(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 300_000 for folder in KEPT)


def version_of(kept: Path) -> str:
    return kept.joinpath("version").read_text()


@pytest.fixture(params=KEPT, ids=lambda folder: folder.name)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    shutil.copytree(request.param, tmp_path / "kept")
    (tmp_path / "kept" / "version").write_text(request.param.name)
    return tmp_path / "kept"


def test_it_is_clean_and_holds_what_was_put_in(kept: Path) -> None:
    report = check(kept / "index")
    assert report
    assert not report.leftovers
    index = Index.open(kept / "index")
    records = [(record.name, record.text) for record in index.images()]
    assert records == [
        ("pictures/000.jpg", "of the first addition"),
        ("pictures/001.jpg", "of the first addition"),
        ("pictures/copy.jpg", None),
        ("pictures/002.jpg", None),
    ]
    info = index.info()
    assert (info.images, info.removed, info.segments, info.words) == (4, 1, 2, 256)
    assert info.detector == ("opencv-sift" if version_of(kept) == "format-2" else "sift")
    pictures = [index.picture_of(record.name) for record in index.images()]
    parts = 16 if version_of(kept) == "segment-4" else 1
    assert [segment.parts for segment in index.snapshot.segments.values()] == [parts, parts]
    names_in_part = [part.names for part in index.snapshot.catalog.part_files]
    assert names_in_part == ([4] if version_of(kept) == "format-4" else [])
    if version_of(kept) in ("format-3-pictures", "format-4", "segment-4"):
        assert info.pictures == 4
        for name, picture in zip(("000", "001", "001", "002"), pictures, strict=True):
            with Image.open(kept / "pictures" / f"{name}.jpg") as original:
                assert picture is not None
                assert np.abs(picture - np.asarray(original.convert("L"), int)).mean() < 8
    else:
        assert info.pictures == 0
        assert pictures == [None] * 4


def of_opencv(options: FeatureOptions) -> FeatureOptions:
    return replace(options, detector="opencv-sift", choice="contrast")


def test_sift_of_the_time_when_it_was_opencvs_still_means_that(kept: Path) -> None:
    options = Index.open(kept / "index").options
    assert Index.open(kept / "index", create=True, features=replace(options, detector="sift")).options == options
    if version_of(kept) != "format-2":
        with pytest.raises(StoreError, match="made with other features"):
            Index.open(kept / "index", create=True, features=of_opencv(options))
    with pytest.raises(StoreError, match="made with other features"):
        Index.open(kept / "index", create=True, features=replace(of_opencv(options), detector="orb"))


def test_features_are_those_of_the_detector_that_it_was_made_with(kept: Path) -> None:
    index = Index.open(kept / "index")
    (first, _) = (index.snapshot.segments[number] for number in sorted(index.snapshot.segments))
    found = {}
    for options in (replace(index.options, detector="sift"), of_opencv(index.options)):
        features = extract(kept / "pictures" / "000.jpg", options)
        signatures = index.vocabulary.assign(features.descriptors).signatures[:, 0]
        found[options.detector] = np.isin(signatures, first.postings.signature).mean()
    assert max(found, key=lambda detector: float(found[detector])) == index.options.detector
    assert found[index.options.detector] > 0.9


def test_it_goes_on_with_features_chosen_as_they_were(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kept)
    options = Index.open("index").options
    assert options.choice == ("scale" if version_of(kept) == "format-4" else "contrast")
    usual = options if options.detector == "opencv-sift" else replace(options, choice="scale")
    index = Index.open("index", create=True, features=usual)
    assert index.options == options
    assert index.add(["pictures"], jobs=1).added == ["pictures/003.jpg"]
    added = index.snapshot.segments[max(index.snapshot.segments)].postings.signature
    features = extract("pictures/003.jpg", options)
    assert set(index.vocabulary.assign(features.descriptors).signatures[:, 0]) == set(added[-len(features) :])


def test_it_answers(kept: Path) -> None:
    index = Index.open(kept / "index")
    for name, expected in {
        "000": ["pictures/000.jpg"],
        "001": ["pictures/001.jpg", "pictures/copy.jpg"],
        "002": ["pictures/002.jpg"],
        "003": [],
    }.items():
        assert [match.name for match in index.query(kept / "pictures" / f"{name}.jpg")] == expected
    with Image.open(kept / "pictures" / "002.jpg") as picture:
        turned = picture.rotate(180)
    (match,) = index.query(turned)
    assert abs(abs(match.relation.rotation_deg) - 180) < 2
    np.testing.assert_allclose(match.homography @ [0, 0, 1], [picture.width - 1, picture.height - 1, 1], atol=2)


def test_it_can_be_added_to_and_compacted(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kept)
    index = Index.open("index")
    report = index.add(["pictures"], jobs=1)
    assert report.added == ["pictures/003.jpg"]
    assert len(report.skipped) == 4
    before = [record.name for record in index.images() if index.picture_of(record.name) is not None]
    assert "pictures/003.jpg" in before
    index.compact()
    assert [record.name for record in index.images() if index.picture_of(record.name) is not None] == before
    assert [match.name for match in index.query("pictures/003.jpg")] == ["pictures/003.jpg"]
    assert check("index")


@pytest.mark.parametrize("version", [1, PARTS_VERSION + 1])
def test_another_version_is_refused_with_both_numbers(kept: Path, version: int) -> None:
    with change_catalog(kept / "index" / "catalog.sqlite") as change:
        change.describe("version", version)
    before = (kept / "index" / "catalog.sqlite").read_bytes()
    for use in (Index.open, check, lambda folder: Index.open(folder, create=True)):
        with pytest.raises((StoreError, VocabularyError), match=f"format {version}.*reads 2 to 4"):
            use(kept / "index")
    assert (kept / "index" / "catalog.sqlite").read_bytes() == before
