from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch.errors import UsageError
from featmatch.features.extraction import FeatureOptions, extract
from featmatch.words import training
from featmatch.words.training import TrainingOptions, train_vocabulary
from featmatch.words.vocabulary import Vocabulary
from tests.features.given_scenes import SCENES
from tests.words.vocabularies import descriptors_for, made

Photos = dict[str, NDArray[np.uint8]]
SMALL = FeatureOptions(longest_px=200, features=300, features_at_longest=300)


def trained(folder: Path, **others: Any) -> Vocabulary:
    chosen = {"features": SMALL, "words": 256, "jobs": 1, **others}
    return train_vocabulary([folder], **chosen)


def squared_error(descriptors: NDArray[np.uint8], words: NDArray[np.uint8], unit: int = 1) -> float:
    """Mean squared distance to the nearest word."""
    scaled, centres = descriptors.astype(float) * unit, words.astype(float)
    squared = (scaled**2).sum(axis=1)[:, None] - 2 * scaled @ centres.T + (centres**2).sum(axis=1)
    return float(squared.min(axis=1).mean())


def descriptors_of(photos: Photos, options: FeatureOptions) -> NDArray[np.uint8]:
    return np.concatenate([extract(photos[name], options).descriptors for name in sorted(photos)])


# On descriptors that the test makes


def trained_on(count: int, detector: str = "sift", told: list[object] | None = None, **options: Any) -> Vocabulary:
    descriptors = descriptors_for(made(detector), count)
    counts = [count // 2, 0, count - count // 2]
    log = [] if told is None else told
    return training._train(descriptors, counts, detector, TrainingOptions(**options), lambda *stage: log.append(stage))


def test_a_vocabulary_says_what_it_was_trained_on() -> None:
    vocabulary = trained_on(301, words=64, scales=(1.0, 0.5), rounds=1, seed=7, search="flann")
    assert vocabulary.provenance == {
        "images": 3, "descriptors": 301, "scales": [1.0, 0.5], "rounds": 1, "seed": 7,
    }  # fmt: skip
    assert (vocabulary.detector, vocabulary.search) == ("sift", "flann")
    vocabulary.verify("it")


@pytest.mark.parametrize(
    ("detector", "words", "cells", "expected"),
    [("sift", 256, 0, 4), ("sift", 256, 40, 10), ("sift", 4, 0, 1), ("sift", 256, 3, 1), ("orb", 150, 0, 12),
     ("orb", 150, 1, 1)],
)  # fmt: skip
def test_cells_are_about_the_root_of_the_words(detector: str, words: int, cells: int, expected: int) -> None:
    vocabulary = trained_on(400, detector, words=words, cells=cells, rounds=0)
    assert len(vocabulary.cells) == expected
    assert len(vocabulary) == words
    vocabulary.verify("it")


def test_stages_are_told_in_their_order() -> None:
    told: list[tuple[str, int, int]] = []
    trained_on(300, words=32, rounds=2, told=told)  # type: ignore[arg-type]
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages == ["cells", "homes", "words", "k-means 1/2", "k-means 2/2", "idf"]


def test_idf_counts_the_images_that_have_a_word() -> None:
    """Of more images than are looked at together; in some of them there is nothing."""
    vocabulary, random = made(words=12), np.random.default_rng(1)
    counts = random.integers(0, 4, 150)
    descriptors = descriptors_for(vocabulary, int(counts.sum()))
    told: list[tuple[str, int, int]] = []
    idf = training._idf(vocabulary, descriptors, counts.tolist(), lambda *stage: told.append(stage))
    owners = np.repeat(np.arange(150), counts)
    bases = vocabulary.nearest(descriptors)[:, 0] // 4
    images_with = [len(set(owners[bases == word].tolist())) for word in range(12)]
    assert max(images_with) > 30
    expected = np.log(151 * 4 / (np.array(images_with) + 1))
    np.testing.assert_allclose(idf, expected, rtol=1e-6)
    assert idf.dtype == np.float32
    assert told == [("idf", 64, 150), ("idf", 128, 150), ("idf", 150, 150)]


def test_no_word_is_worth_nothing() -> None:
    vocabulary = made("kaze", words=2, cells=1)
    counts = [20] * 50  # each word is in each image
    idf = training._idf(vocabulary, descriptors_for(vocabulary, 1000), counts, lambda *_: None)
    assert idf.tolist() == pytest.approx([0.1, 0.1])


# On photos


@pytest.fixture(scope="module")
def small_vocabulary(photo_folder: Path) -> Vocabulary:
    return trained(photo_folder)


def test_vocabulary_is_as_documented(tiny_vocabulary: Vocabulary) -> None:
    v = tiny_vocabulary
    assert (v.detector, v.search, len(v), v.flann_tree) == ("sift", "two-level", 1024, None)
    assert v.words.shape == (256, 128)
    assert v.words.dtype == np.uint8
    assert v.cells.shape == (8, 128)
    assert v.cells.dtype == np.uint8
    assert v.cell_offsets.shape == (9,)
    assert v.cell_offsets.dtype == np.int64
    assert (v.cell_offsets[0], v.cell_offsets[-1]) == (0, 256)
    assert np.all(np.diff(v.cell_offsets) >= 0)
    assert v.idf.shape == (256,)
    assert v.idf.dtype == np.float32
    assert np.all((v.idf > 0) & np.isfinite(v.idf))
    assert v.projection.shape == (64, 128)
    assert v.projection.dtype == np.int8
    assert v.provenance["images"] == 8
    assert v.provenance["descriptors"] > 4000


@pytest.mark.parametrize("words", [16, 600])
def test_words_are_as_many_as_asked_for(photo_folder: Path, words: int) -> None:
    vocabulary = trained(photo_folder, words=words)
    assert len(vocabulary) == words
    assert vocabulary.cell_offsets[-1] == len(vocabulary.words) == len(vocabulary.idf) == words // 4


@pytest.mark.parametrize("detector", ["orb", "kaze"])
def test_other_detectors(photo_folder: Path, photos: Photos, detector: str) -> None:
    options = replace(SMALL, detector=detector)
    vocabulary = trained(photo_folder, features=options, words=101)
    assert (vocabulary.detector, len(vocabulary), len(vocabulary.words)) == (detector, 101, 101)
    descriptors = descriptors_of(photos, options)
    by_chance = np.random.default_rng(1).choice(descriptors, 101, replace=False) * np.uint8(vocabulary.unit)
    unit = vocabulary.unit
    assert squared_error(descriptors, vocabulary.words, unit) < 0.95 * squared_error(descriptors, by_chance, unit)


def test_detector_by_name(photo_folder: Path) -> None:
    vocabulary = train_vocabulary([photo_folder / "coins.png"], features="orb", words=32, jobs=1)
    assert vocabulary.detector == "orb"


def test_result_does_not_depend_on_jobs(photo_folder: Path, small_vocabulary: Vocabulary) -> None:
    assert trained(photo_folder, jobs=2).fingerprint == small_vocabulary.fingerprint


def test_training_twice_gives_the_same(photo_folder: Path, small_vocabulary: Vocabulary) -> None:
    again = trained(photo_folder)
    assert again.fingerprint == small_vocabulary.fingerprint
    assert again.provenance == small_vocabulary.provenance


def test_files_and_their_folder_are_the_same(photo_folder: Path, small_vocabulary: Vocabulary) -> None:
    files = sorted(photo_folder.iterdir())
    given = train_vocabulary(files, features=SMALL, words=256, jobs=1)
    assert given.fingerprint == small_vocabulary.fingerprint


def test_words_fit_the_descriptors_better_than_chance(photos: Photos, small_vocabulary: Vocabulary) -> None:
    descriptors = descriptors_of(photos, SMALL)
    by_chance = np.random.default_rng(1).choice(descriptors, len(small_vocabulary), replace=False)
    trained_error = squared_error(descriptors, small_vocabulary.expanded_words())
    assert trained_error < 0.85 * squared_error(descriptors, by_chance)


def test_every_word_is_near_the_training_data(photos: Photos, small_vocabulary: Vocabulary) -> None:
    descriptors = descriptors_of(photos, SMALL)
    typical = squared_error(descriptors, small_vocabulary.expanded_words())
    words = small_vocabulary.expanded_words()
    used = np.unique(small_vocabulary.assign(descriptors, 1).ids // 4)
    assert len(used) > 0.95 * len(small_vocabulary.words)
    assert squared_error(words, descriptors) < 2 * typical


def test_each_word_is_in_its_nearest_cell(small_vocabulary: Vocabulary) -> None:
    words, cells = small_vocabulary.words.astype(int), small_vocabulary.cells.astype(int)
    homes = np.repeat(np.arange(len(cells)), np.diff(small_vocabulary.cell_offsets))
    squared = ((words[:, None] - cells) ** 2).sum(axis=2)
    assert np.array_equal(squared.argmin(axis=1), homes)


def test_idf_is_lower_for_words_of_many_images(photos: Photos, tiny_vocabulary: Vocabulary) -> None:
    images_with = np.zeros(256, int)
    for picture in photos.values():
        features = extract(picture, FeatureOptions(longest_px=640))
        images_with[np.unique(tiny_vocabulary.assign(features.descriptors).ids // 4)] += 1
    expected = np.log((len(photos) + 1) * 4 / (images_with + 1))
    assert tiny_vocabulary.idf == pytest.approx(np.maximum(expected, 0.1), abs=1e-5)


def test_too_few_descriptors_are_misuse(photo_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too few"):
        train_vocabulary([photo_folder / "coins.png"], features=SMALL, words=4096, jobs=1)
    with pytest.raises(UsageError, match="too few"):
        train_vocabulary([tmp_path], words=4, jobs=1)
    with pytest.raises(UsageError, match="too few"):
        train_vocabulary([], words=4, jobs=1)


def test_words_of_a_closed_vocabulary_come_in_fours(photo_folder: Path) -> None:
    with pytest.raises(UsageError, match="multiple of 4"):
        trained(photo_folder, words=130)


@pytest.mark.parametrize(
    "wrong",
    [
        {"words": 3}, {"words": (1 << 22) + 4}, {"search": "tree"}, {"scales": ()}, {"scales": (1.0, 0.04)},
        {"scales": (4.1,)}, {"words": "64"}, {"rounds": 1.5}, {"cells": -1}, {"words": 8, "cells": 9},
        {"cells": (1 << 14) + 1},
    ],
    ids=str,
)  # fmt: skip
def test_options_out_of_range_are_misuse(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        TrainingOptions(**wrong)


@pytest.mark.parametrize(
    "fine",
    [
        {"words": 4}, {"words": 1 << 22, "cells": 1 << 14}, {"scales": (0.05, 4.0)}, {"words": 8, "cells": 8},
        {"search": "flann"},
    ],
    ids=str,
)  # fmt: skip
def test_options_may_be_at_their_bounds(fine: dict[str, Any]) -> None:
    TrainingOptions(**fine)


def test_unreadable_images_are_skipped(photo_folder: Path, tmp_path: Path, small_vocabulary: Vocabulary) -> None:
    for file in photo_folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no image by its name")
    vocabulary = trained(tmp_path)
    assert np.array_equal(vocabulary.words, small_vocabulary.words)
    assert np.array_equal(vocabulary.idf, small_vocabulary.idf)
    assert vocabulary.provenance["images"] == 8


def test_images_without_features_are_no_problem(
    photo_folder: Path, tmp_path: Path, small_vocabulary: Vocabulary
) -> None:
    blank = tmp_path / "blank.png"
    Image.new("L", (64, 64)).save(blank)
    vocabulary = train_vocabulary([blank, photo_folder, blank], features=SMALL, words=256, jobs=1)
    assert np.array_equal(vocabulary.words, small_vocabulary.words)


# Options: each does something


def test_seed_changes_the_words(photo_folder: Path, small_vocabulary: Vocabulary) -> None:
    other = trained(photo_folder, options=TrainingOptions(words=256, seed=1))
    assert not np.array_equal(other.words, small_vocabulary.words)
    assert not np.array_equal(other.projection, small_vocabulary.projection)


def test_rounds_bring_words_closer(photo_folder: Path, photos: Photos, small_vocabulary: Vocabulary) -> None:
    descriptors = descriptors_of(photos, SMALL)
    start = trained(photo_folder, options=TrainingOptions(words=256, rounds=0))
    after = squared_error(descriptors, small_vocabulary.expanded_words())
    assert after < squared_error(descriptors, start.expanded_words())


@pytest.mark.parametrize("cells", [4, 256])
def test_cells_are_as_many_as_asked_for(photo_folder: Path, cells: int) -> None:
    vocabulary = trained(photo_folder, options=TrainingOptions(words=256, cells=cells))
    assert len(vocabulary.cells) == cells // 4
    assert len(vocabulary) == 256


def test_scales_add_descriptors(photo_folder: Path, small_vocabulary: Vocabulary) -> None:
    vocabulary = trained(photo_folder, options=TrainingOptions(words=256, scales=(1.0, 0.5)))
    assert vocabulary.provenance["descriptors"] > 1.3 * small_vocabulary.provenance["descriptors"]
    assert vocabulary.fingerprint != small_vocabulary.fingerprint


def test_options_override_words(photo_folder: Path) -> None:
    assert len(trained(photo_folder, words=128, options=TrainingOptions(words=64))) == 64


@pytest.mark.parametrize(("detector", "words"), [("sift", 256), ("orb", 200)])
def test_flann_vocabulary_finds_the_same_words_after_loading(
    photo_folder: Path, photos: Photos, tmp_path: Path, detector: str, words: int
) -> None:
    options = replace(SMALL, detector=detector)
    vocabulary = trained(photo_folder, features=options, options=TrainingOptions(words=words, search="flann"))
    vocabulary.save(tmp_path / "v.npz")
    loaded = Vocabulary.load(tmp_path / "v.npz")
    assert loaded.search == "flann"
    assert loaded.fingerprint == vocabulary.fingerprint
    descriptors = descriptors_of(photos, options)
    before, after = vocabulary.assign(descriptors, 2), loaded.assign(descriptors, 2)
    assert np.array_equal(before.ids, after.ids)
    assert np.array_equal(before.signatures, after.signatures)


# Progress and traces


def test_progress_is_reported_to_the_end_of_each_stage(photo_folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    trained(photo_folder, progress=lambda stage, done, total: told.append((stage, done, total)))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages[0] == "features"
    assert len(stages) > 3
    assert [done for stage, done, _ in told if stage == "features"] == list(range(1, 9))
    for stage in stages:
        done = [(done, total) for name, done, total in told if name == stage]
        assert done == sorted(done)
        assert done[-1][0] == done[-1][1]


def test_nothing_is_left_in_the_temporary_folder(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    trained(photo_folder, words=16)
    with pytest.raises(UsageError):
        trained(photo_folder, words=100_000)
    assert list(tmp_path.iterdir()) == []


def test_training_takes_features_of_one_detector_only() -> None:
    with pytest.raises(UsageError, match="one detector"):
        train_vocabulary([SCENES.seen(0), SCENES.seen(1, turned=True)], words=8)
    with pytest.raises(UsageError, match="1 images have 120 descriptors"):
        train_vocabulary([SCENES.seen(0)], words=128)
