from __future__ import annotations

import dataclasses
import os
import shutil
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image, ImageFilter

import featmatch
from featmatch import GeometryOptions, ImageError, Index, StoreError, UsageError, Vocabulary, VotingOptions
from featmatch.errors import VocabularyError
from featmatch.images.pixels import ImageSource
from featmatch.search import voting
from featmatch.search.stages import Search
from tests.search.searches import candidates

Photos = dict[str, NDArray[np.uint8]]


def save(pixels: NDArray[np.uint8], path: Path, side: int = 320) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side))
    picture.save(path)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    """What a folder holds; the lock file is no content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "writer.lock"
    }


def answers(index: Index, queries: Sequence[Path]) -> list[list[tuple[object, ...]]]:
    return [
        [
            (Path(match.name).name, match.probability, match.score, match.inliers, match.homography.tolist())
            for match in index.query(query, unproven=True)
        ]
        for query in queries
    ]


@pytest.fixture(scope="session")
def originals(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The first five photos, small."""
    folder = tmp_path_factory.mktemp("originals")
    return [save(pixels, folder / f"{name}.png") for name, pixels in list(photos.items())[:5]]


@pytest.fixture(scope="session")
def filled(originals: list[Path], tiny_vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """An index of the originals. Not to be written to."""
    index = Index.open(tmp_path_factory.mktemp("filled") / "index", create=True, vocabulary=tiny_vocabulary)
    assert len(index.add(originals, jobs=1).added) == len(originals)
    return index


@pytest.fixture
def empty(tiny_vocabulary: Vocabulary, tmp_path: Path) -> Index:
    return Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)


def test_match_restricts_before_the_shortlist(filled: Index, originals: list[Path]) -> None:
    few = VotingOptions(shortlist=1)
    found = {
        path: [one.name for one in filled.query(originals[0], voting=few, unproven=True, match=path.stem)]
        for path in originals
    }
    assert all(names in ([], [str(path)]) for path, names in found.items())
    assert sum(map(len, found.values())) > 1
    assert [match.name for match in filled.query(originals[0], voting=few, match=originals[0].stem)] == [
        str(originals[0])
    ]
    assert filled.query(originals[0], match=originals[1].stem) == []
    assert filled.query(originals[0], match="nothing has this word") == []
    with pytest.raises(UsageError):
        filled.query(originals[0], match="!")


def test_names_that_do_not_fit_are_not_given(empty: Index, originals: list[Path], tmp_path: Path) -> None:
    for name in ("harbour.png", "copy.png"):
        (tmp_path / name).write_bytes(originals[0].read_bytes())
    empty.add([tmp_path / "harbour.png", tmp_path / "copy.png"], jobs=1)
    assert [Path(match.name).name for match in empty.query(originals[0], match="harbour")] == ["harbour.png"]


def test_metadata_is_kept_and_comes_back_after_a_repair(empty: Index, photos: Photos, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0110] = "Moon over the harbour", "X-T3"
    Image.fromarray(photos["chelsea"]).save(tmp_path / "a.jpg", exif=exif)
    empty.add([tmp_path / "a.jpg"], jobs=1, text="of May")
    before = list(empty.images("moon may x-t3"))
    (record,) = before
    assert (record.format, record.camera, record.caption) == ("JPEG", "X-T3", "Moon over the harbour")
    folder = tmp_path / "index"
    column = folder / "segments" / "000001" / "x.npy"
    column.write_bytes(column.read_bytes()[:-1] + b"?")
    assert featmatch.check(folder, repair=True)
    again = Index.open(folder)
    assert list(again.images("moon")) == []
    again.add([tmp_path / "a.jpg"], jobs=1)
    assert list(again.images("moon may x-t3")) == before


def huge_png() -> bytes:
    """A picture of 20000 x 20000 px, by what its header says."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.fixture(scope="session")
def unusable(originals: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """Files that cannot be indexed, and the status that each should get."""
    folder = tmp_path_factory.mktemp("unusable")
    contents = {
        "text.jpg": b"this is no image",
        "empty.png": b"",
        "truncated.png": originals[0].read_bytes()[:2000],
        "huge.png": huge_png(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    Image.new("RGB", (300, 200), (90, 120, 40)).save(folder / "blank.png")
    return {
        folder / "text.jpg": "decode_failed",
        folder / "empty.png": "decode_failed",
        folder / "truncated.png": "decode_failed",
        folder / "huge.png": "too_large",
        folder / "blank.png": "too_little_detail",
        folder / "missing.png": "not_found",
    }


# Opening


def test_a_new_index_is_empty_and_can_be_opened_again(empty: Index, tmp_path: Path, originals: list[Path]) -> None:
    assert len(empty) == 0
    assert list(empty.images()) == []
    matches = Index.open(tmp_path / "index").query(originals[0])
    assert matches == []
    assert matches.status == "ok"


def test_an_existing_index_can_be_opened_with_create(filled: Index, tiny_vocabulary: Vocabulary) -> None:
    opened = Index.open(filled.folder, create=True, features="sift", vocabulary=tiny_vocabulary)
    assert len(opened) == len(filled)


def test_opening_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Index.open(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [False, True])
def test_a_folder_with_other_things_is_refused(tmp_path: Path, tiny_vocabulary: Vocabulary, create: bool) -> None:
    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(StoreError):
        Index.open(tmp_path, create=create, vocabulary=tiny_vocabulary)
    assert tree(tmp_path) == {"diary.txt": b"dear diary"}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("create", [False, True])
def test_a_file_in_place_of_the_index_is_refused(tmp_path: Path, tiny_vocabulary: Vocabulary, create: bool) -> None:
    (tmp_path / "index").write_text("a file")
    with pytest.raises(StoreError):
        Index.open(tmp_path / "index", create=create, vocabulary=tiny_vocabulary)
    assert tree(tmp_path) == {"index": b"a file"}


def test_an_empty_folder_becomes_an_index(tmp_path: Path, tiny_vocabulary: Vocabulary) -> None:
    assert len(Index.open(tmp_path, create=True, vocabulary=tiny_vocabulary)) == 0


def test_an_index_that_was_made_halfway_is_made_anew(tmp_path: Path, tiny_vocabulary: Vocabulary) -> None:
    (tmp_path / "index" / "segments").mkdir(parents=True)
    (tmp_path / "index" / "vocabulary.npz").write_bytes(b"half")
    (tmp_path / "index" / "catalog.sqlite.partial").write_bytes(b"half")
    assert len(Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)) == 0


def test_another_vocabulary_is_refused_and_nothing_changes(filled: Index, tiny_vocabulary: Vocabulary) -> None:
    before = tree(filled.folder)
    other = dataclasses.replace(tiny_vocabulary, idf=tiny_vocabulary.idf + np.float32(1))
    for create in (False, True):
        with pytest.raises(StoreError, match="vocabulary"):
            Index.open(filled.folder, create=create, vocabulary=other)
    assert tree(filled.folder) == before


def test_other_features_are_refused_and_nothing_changes(filled: Index) -> None:
    before = tree(filled.folder)
    for other in ("orb", featmatch.FeatureOptions(features=500)):
        for create in (False, True):
            with pytest.raises(StoreError, match="features"):
                Index.open(filled.folder, create=create, features=other)
    assert tree(filled.folder) == before


def test_a_vocabulary_of_another_detector_makes_no_index(tmp_path: Path, tiny_vocabulary: Vocabulary) -> None:
    with pytest.raises(VocabularyError):
        Index.open(tmp_path / "index", create=True, features="orb", vocabulary=tiny_vocabulary)
    assert list(tmp_path.iterdir()) == []


def test_feature_options_are_kept(tmp_path: Path, tiny_vocabulary: Vocabulary) -> None:
    options = featmatch.FeatureOptions(features=123, longest_px=800)
    Index.open(tmp_path / "index", create=True, features=options, vocabulary=tiny_vocabulary)
    assert Index.open(tmp_path / "index").options == options


def test_a_damaged_index_is_refused(
    filled: Index, originals: list[Path], tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    for number, name in enumerate(("catalog.sqlite", "vocabulary.npz", "segments/000001/x.npy")):
        folder = tmp_path / str(number)
        Index.open(folder, create=True, vocabulary=tiny_vocabulary).add(originals[:1], jobs=1)
        (folder / name).write_bytes(b"damaged")
        with pytest.raises((StoreError, VocabularyError)):
            Index.open(folder)


# Adding


def test_folders_are_added_with_all_below_them(empty: Index, photos: Photos, tmp_path: Path) -> None:
    one, two, three, *_ = photos.values()
    top = tmp_path / "top"
    files = [save(one, top / "b.JPG"), save(two, top / "deep" / "er" / "a.png"), save(three, top / "c c" / "日本.webp")]
    (top / "notes.txt").write_text("no image, and nobody said it was")
    report = empty.add([top], jobs=1)
    assert sorted(report.added) == sorted(map(str, files))
    assert (report.skipped, report.failed) == ([], [])
    assert {record.name for record in empty.images()} == set(map(str, files))


def test_links_to_files_are_followed_and_loops_of_folders_are_harmless(
    empty: Index, photos: Photos, tmp_path: Path
) -> None:
    one, two, *_ = photos.values()
    outside = save(one, tmp_path / "outside.png")
    inside = save(two, tmp_path / "top" / "inside.png")
    (tmp_path / "top" / "link.png").symlink_to(outside)
    (tmp_path / "top" / "loop").symlink_to(tmp_path / "top", target_is_directory=True)
    (tmp_path / "top" / "dangling.png").symlink_to(tmp_path / "gone.png")
    report = empty.add([tmp_path / "top"], jobs=1)
    assert sorted(report.added) == sorted([str(inside), str(tmp_path / "top" / "link.png")])
    assert [(failure.name, failure.status) for failure in report.failed] == [
        (str(tmp_path / "top" / "dangling.png"), "not_found")
    ]
    assert empty.query(one)[0].name == str(tmp_path / "top" / "link.png")


def test_a_file_given_by_name_needs_no_image_suffix(empty: Index, originals: list[Path], tmp_path: Path) -> None:
    plain = tmp_path / "scan0001"
    plain.write_bytes(originals[0].read_bytes())
    assert empty.add([plain], jobs=1).added == [str(plain)]


def test_what_is_unchanged_is_skipped(empty: Index, originals: list[Path]) -> None:
    empty.add(originals[:2], jobs=1)
    before = list(empty.images())
    report = empty.add([*originals[:3], originals[2], str(originals[0])], jobs=1)
    assert report.added == [str(originals[2])]
    assert report.skipped == [str(path) for path in originals[:2]]
    assert list(empty.images())[:2] == before
    assert len(empty) == 3


def test_a_changed_file_replaces_what_was_there(empty: Index, photos: Photos, tmp_path: Path) -> None:
    old, new, *_ = photos.values()
    path = save(old, tmp_path / "a.png")
    empty.add([path], jobs=1)
    save(new, path)
    assert empty.add([path], jobs=1).added == [str(path)]
    assert len(empty) == 1
    assert empty.query(old) == []
    assert [match.name for match in empty.query(new)] == [str(path)]


def test_a_file_of_the_same_size_with_another_time_is_looked_at_again(
    empty: Index, originals: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(originals[0].read_bytes())
    os.utime(path, ns=(1_000_000_000, 1_000_000_000))
    empty.add([path], jobs=1)
    os.utime(path, ns=(1_000_000_000, 1_000_000_001))
    assert empty.add([path], jobs=1).skipped == [str(path)]
    assert [record.mtime_ns for record in empty.images()] == [1_000_000_001]
    assert empty.info().segments == 1


def test_what_cannot_be_indexed_is_reported_and_the_rest_goes_on(
    empty: Index, unusable: dict[Path, str], originals: list[Path]
) -> None:
    report = empty.add([*unusable, originals[0]], jobs=1)
    assert {Path(failure.name): failure.status for failure in report.failed} == unusable
    assert all(failure.message for failure in report.failed)
    assert report.added == [str(originals[0])]
    assert len(empty) == 1


def test_an_image_that_got_unreadable_stays_as_it_was(empty: Index, originals: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(originals[0].read_bytes())
    empty.add([path], jobs=1)
    path.write_bytes(b"spoilt")
    assert [failure.status for failure in empty.add([path], jobs=1).failed] == ["decode_failed"]
    assert [match.name for match in empty.query(originals[0])] == [str(path)]


def test_text_is_kept_with_each_image(empty: Index, originals: list[Path]) -> None:
    empty.add(originals[:2], jobs=1, text="from the sea")
    assert [record.text for record in empty.images()] == ["from the sea"] * 2


def test_progress_is_told_image_by_image(empty: Index, originals: list[Path]) -> None:
    told: list[tuple[int, int]] = []
    empty.add(originals[:3], jobs=1, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_paths_are_a_list(empty: Index) -> None:
    with pytest.raises(UsageError):
        empty.add("photos/")


@pytest.mark.usefixtures("opencv_has_threads")
def test_one_go_one_by_one_and_any_number_of_jobs_give_the_same_answers(
    photos: Photos, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    quarters = []  # more files than would be indexed without other processes
    for name, pixels in list(photos.items())[:4]:
        y, x = pixels.shape[0] // 2, pixels.shape[1] // 2
        for part, window in enumerate((pixels[:y, :x], pixels[:y, x:], pixels[y:, :x], pixels[y:, x:])):
            quarters.append(save(window, tmp_path / "photos" / f"{name}-{part}.png", 200))

    def index(name: str) -> Index:
        return Index.open(tmp_path / name, create=True, vocabulary=tiny_vocabulary)

    one_go, two_jobs, one_by_one = index("one go"), index("two jobs"), index("one by one")
    assert one_go.add(quarters, jobs=1).added == [str(path) for path in quarters]
    assert two_jobs.add(quarters, jobs=2).added == [str(path) for path in quarters]
    for path in quarters:
        one_by_one.add([path], jobs=1)
    queries = [save(pixels, tmp_path / "queries" / f"{name}.png") for name, pixels in list(photos.items())[:2]]
    expected = answers(one_go, queries)
    assert any(expected)
    assert answers(two_jobs, queries) == expected
    assert answers(one_by_one, queries) == expected
    assert [dataclasses.replace(record, id=0) for record in two_jobs.images()] == [
        dataclasses.replace(record, id=0) for record in one_by_one.images()
    ]
    assert tree(tmp_path / "one go" / "segments") == tree(tmp_path / "two jobs" / "segments")


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_keeps_what_was_done_and_a_second_run_completes(
    photos: Photos, tiny_vocabulary: Vocabulary, tmp_path: Path, jobs: int
) -> None:
    index = Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    files = []
    for name, pixels in list(photos.items())[:4]:
        for part in range(4):
            files.append(save(pixels[part * 40 :], tmp_path / "photos" / f"{name}-{part}.png", 160))

    def interrupting(done: int, total: int) -> None:
        if done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.add(files, jobs=jobs, progress=interrupting)
    kept = [record.name for record in Index.open(tmp_path / "index").images()]
    assert kept == [str(path) for path in files[: len(kept)]]
    assert 0 < len(kept) < len(files)
    assert len(index) == len(kept)
    report = index.add(files, jobs=1)
    assert report.skipped == kept
    assert report.added == [str(path) for path in files[len(kept) :]]
    assert len(index) == len(files)


def test_a_failing_commit_changes_nothing(
    empty: Index, originals: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.add(originals[:1], jobs=1)
    expected = answers(empty, originals)

    def failing(*arguments: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("featmatch.adding.batches.write_segment", failing)
        with pytest.raises(StoreError):
            empty.add(originals, jobs=1)
    assert len(Index.open(tmp_path / "index")) == 1
    assert answers(Index.open(tmp_path / "index"), originals) == expected
    assert len(empty.add(originals, jobs=1).added) == len(originals) - 1


# Removing


def test_a_removed_image_is_not_found_until_it_is_added_again(empty: Index, originals: list[Path]) -> None:
    empty.add(originals, jobs=1)
    name = str(originals[1])
    first = empty.query(originals[1])[0].id
    assert empty.remove([name, "never there.png"]) == [name]
    assert len(empty) == len(originals) - 1
    assert name not in [record.name for record in empty.images()]
    assert name not in [match.name for match in empty.query(originals[1], unproven=True)]
    assert originals[1].is_file()
    assert empty.add(originals, jobs=1).added == [name]
    again = empty.query(originals[1])[0]
    assert again.name == name
    assert again.id != first


def test_removing_leaves_the_other_answers_as_they_were(empty: Index, originals: list[Path]) -> None:
    empty.add(originals, jobs=1)
    before = answers(empty, originals[1:])
    empty.remove([str(originals[0])])
    assert answers(empty, originals[1:]) == [
        [found for found in matches if found[0] != originals[0].name] for matches in before
    ]


# Looking after it


def test_info_says_what_an_index_holds(empty: Index, originals: list[Path], tiny_vocabulary: Vocabulary) -> None:
    empty.add(originals[:2], jobs=1)
    empty.add(originals[2:4], jobs=1)
    empty.remove([str(originals[0])])
    info = empty.info()
    records = list(empty.images())
    assert (info.images, info.removed, info.segments) == (3, 1, 2)
    assert info.features == sum(record.features for record in records)
    assert info.bytes == sum(path.stat().st_size for path in empty.folder.rglob("*") if path.is_file())
    assert (info.detector, info.words) == ("sift", len(tiny_vocabulary))
    assert info.vocabulary == tiny_vocabulary.fingerprint


def test_images_tells_what_is_known_of_each(filled: Index, originals: list[Path]) -> None:
    records = list(filled.images())
    assert [record.name for record in records] == [str(path) for path in originals]
    assert [record.id for record in records] == sorted({record.id for record in records})
    for record, path in zip(records, originals, strict=True):
        with Image.open(path) as picture:
            assert (record.width, record.height) == picture.size
        assert (record.bytes, record.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
        assert record.features > 0


# Several at once


def test_a_second_writer_is_refused_at_once(empty: Index, originals: list[Path], tmp_path: Path) -> None:
    with FileLock(tmp_path / "index" / "writer.lock"):
        with pytest.raises(StoreError):
            empty.add(originals[:1], jobs=1)
        with pytest.raises(StoreError):
            empty.remove([str(originals[0])])
        assert empty.query(originals[0]) == []
    assert len(empty.add(originals[:1], jobs=1).added) == 1


def test_a_reader_sees_new_images_after_refresh_only(empty: Index, originals: list[Path], tmp_path: Path) -> None:
    empty.add(originals[:1], jobs=1)
    reader = Index.open(tmp_path / "index")
    empty.add(originals[1:2], jobs=1)
    assert [match.name for match in reader.query(originals[0])] == [str(originals[0])]
    assert reader.query(originals[1]) == []
    reader.refresh()
    assert [match.name for match in reader.query(originals[1])] == [str(originals[1])]


def test_threads_get_the_same_answers_as_one_alone(filled: Index, originals: list[Path]) -> None:
    expected = answers(filled, originals)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda path: answers(filled, [path])[0], originals))
    assert found == expected


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_index_still_answers(empty: Index, originals: list[Path], tmp_path: Path) -> None:
    empty.add(originals[:2], jobs=1)
    expected = answers(empty, originals)
    paths = [tmp_path / "index", *(tmp_path / "index").rglob("*")]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        reader = Index.open(tmp_path / "index")
        assert answers(reader, originals) == expected
        with pytest.raises(StoreError):
            reader.add(originals, jobs=1)
        with pytest.raises(StoreError):
            reader.remove([str(originals[0])])
    finally:
        for path in paths:
            path.chmod(0o700 if path.is_dir() else 0o600)


# Asking


def test_each_image_finds_itself(filled: Index, originals: list[Path]) -> None:
    for path in originals:
        matches = filled.query(path)
        assert matches.status == "ok"
        assert matches[0].name == str(path)
        assert matches[0].proven
        assert matches[0].relation.kind == "copy"


def test_every_kind_of_source_gives_the_same_answer(filled: Index, originals: list[Path]) -> None:
    path = originals[0]
    with Image.open(path) as picture:
        picture.load()
        sources: list[ImageSource] = [path, str(path), path.read_bytes(), np.asarray(picture), picture]
        found = [[(match.name, match.score) for match in filled.query(source)] for source in sources]
    assert found == [found[0]] * len(sources)


def test_images_that_cannot_be_read_say_why(filled: Index, unusable: dict[Path, str]) -> None:
    for path, status in unusable.items():
        if status == "too_little_detail":
            matches = filled.query(path)
            assert (matches, matches.status) == ([], status)
        else:
            with pytest.raises(ImageError) as error:
                filled.query(path)
            assert error.value.status == status


def test_limit_bounds_how_many_come_back(filled: Index, originals: list[Path]) -> None:
    two = [np.asarray(Image.open(path).convert("RGB").resize((300, 300))) for path in originals[:2]]
    both = np.hstack(two)
    assert {match.name for match in filled.query(both)} == {str(path) for path in originals[:2]}
    assert [match.name for match in filled.query(both, limit=1)] == [filled.query(both)[0].name]
    with pytest.raises(UsageError):
        filled.query(originals[0], limit=0)


def test_matches_come_best_first_and_proven_unless_asked_otherwise(filled: Index, originals: list[Path]) -> None:
    unproven = 0
    for path in originals:
        every = filled.query(path, unproven=True)
        scores = [match.score for match in every]
        assert scores == sorted(scores, reverse=True)
        unproven += sum(not match.proven for match in every)
        assert [match.name for match in filled.query(path)] == [match.name for match in every if match.proven]
    assert unproven > 0


def test_an_image_comes_once_whatever_the_number_of_its_variants(filled: Index, originals: list[Path]) -> None:
    names = [match.name for match in filled.query(originals[0], unproven=True, voting=VotingOptions(shortlist=1000))]
    assert len(names) == len(set(names))


def test_voting_options_reach_the_vote(filled: Index, originals: list[Path]) -> None:
    strict = VotingOptions(words=1, hamming_limit=0, shortlist=1)
    tight = filled.query(originals[0], unproven=True, voting=strict)
    assert [match.name for match in tight] == [str(originals[0])]
    assert tight[0].inliers <= filled.query(originals[0])[0].inliers


def test_hits_that_do_not_vote_are_matches_of_those_that_were_voted_for(filled: Index, originals: list[Path]) -> None:
    with Image.open(originals[0]) as picture:
        smooth = picture.filter(ImageFilter.GaussianBlur(1.5))

    def found(limit: int) -> dict[int, tuple[float, int]]:
        search = Search.of(filled, voting=VotingOptions(voting_limit=limit, shortlist=1000))
        look = search.read(smooth)
        return {one.id: (one.votes, len(one.matches)) for one in candidates(search, look) if one.variant == 0}

    every, nearest = found(22), found(8)
    assert set() < set(nearest) < set(every)
    for image, (votes, matches) in nearest.items():
        assert votes < every[image][0]
        assert matches == every[image][1]


def test_geometry_options_reach_the_verification(filled: Index, originals: list[Path]) -> None:
    coarse = filled.query(originals[0], unproven=True, geometry=GeometryOptions(grid=2))
    assert coarse[0].score < filled.query(originals[0])[0].score


def test_answers_do_not_depend_on_the_number_of_threads_nor_on_whether_hits_are_kept(
    filled: Index, originals: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    for threads, many in ((1, voting._MANY), (1, 0), (2, 0), (7, 0)):
        monkeypatch.setattr(voting, "_MANY", many)
        monkeypatch.setattr(voting, "_cores", lambda threads=threads: threads)
        answers.append([[m.to_dict() for m in filled.query(path, unproven=True)] for path in originals[:2]])
    assert all(one == answers[0] for one in answers)
    assert answers[0][0]


# Small pictures that the index keeps


def test_an_index_keeps_a_small_picture_of_each_image(empty: Index, photos: Photos, tmp_path: Path) -> None:
    large = save(next(iter(photos.values())), tmp_path / "large.png", 500)
    empty.add([large], jobs=1)
    large.unlink()
    picture = empty.picture_of(str(large))
    assert picture is not None
    assert picture.dtype == np.uint8
    assert max(picture.shape) in (256, 500)
    with Image.fromarray(next(iter(photos.values()))) as original:
        expected = np.asarray(original.convert("L").resize(picture.shape[::-1], Image.Resampling.BOX), int)
    assert np.abs(picture - expected).mean() < 6
    assert empty.picture_of("another.png") is None
    empty.remove([str(large)])
    assert empty.picture_of(str(large)) is None
    with pytest.raises(UsageError, match="name"):
        empty.picture_of(7)  # type: ignore[arg-type]


def test_pixels_are_compared_without_the_files(empty: Index, originals: list[Path], tmp_path: Path) -> None:
    files = [Path(shutil.copy(path, tmp_path)) for path in originals]
    with Image.open(files[0]) as picture:
        part = picture.crop((30, 20, picture.width - 40, picture.height - 10)).copy()
    empty.add(files, jobs=1)
    (by_file,) = empty.query(part)
    for file in files:
        file.unlink()
    found = empty.query(part)
    (by_picture,) = found
    assert found.not_at_hand[0] == str(files[0])
    agreements = [one.proof.evidence.agreement for one in (by_file, by_picture)]
    assert agreements[0] is not None
    assert agreements[1] == pytest.approx(agreements[0], abs=0.1)
    assert by_picture.proof.differences is not None
    assert (by_picture.name, by_picture.proof.homography.tolist()) == (by_file.name, by_file.proof.homography.tolist())


def test_without_pictures_the_index_has_none(empty: Index, originals: list[Path], tmp_path: Path) -> None:
    empty.add(originals[:1], jobs=1, pictures=False)
    empty.add(originals[1:2], jobs=1)
    assert [empty.picture_of(str(path)) for path in originals[:2]] == [None, None]
    empty.add(originals[2:3], jobs=1, pictures=True)
    assert empty.picture_of(str(originals[2])) is not None
    info = empty.info()
    assert info.pictures == 1
    assert info.picture_bytes == sum(len(segment.pictures) for segment in empty.snapshot.segments.values()) > 1000
    empty.add_images([("given", originals[3].read_bytes())], jobs=1)
    empty.add_images([("nothing of it", originals[4].read_bytes())], jobs=1, pictures=False)
    assert [empty.picture_of(name) is None for name in ("given", "nothing of it")] == [False, True]
    with pytest.raises(UsageError, match="pictures"):
        empty.add(originals, pictures=1)  # type: ignore[arg-type]
