from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import MissingFeatureError, VocabularyError
from featmatch.features.extraction import FeatureOptions, extract
from featmatch.features.symmetry import SIFT_PERMUTATIONS, Variant, with_descriptors_of
from featmatch.words.vocabulary import FORMAT_VERSION, Vocabulary, Words
from tests.words.vocabularies import SIZES, descriptors_for, made, parts_of, written

Photos = dict[str, NDArray[np.uint8]]


def signature_by_hand(vocabulary: Vocabulary, descriptor: NDArray[np.uint8], word: int) -> int:
    """Bit i is set where row i of the projection sees the descriptor above the word."""
    residual = descriptor.astype(int) * vocabulary.unit - vocabulary.expanded_words()[word].astype(int)
    return sum(1 << i for i, row in enumerate(vocabulary.projection.astype(int)) if int(row @ residual) > 0)


def same(one: Vocabulary, other: Vocabulary) -> bool:
    arrays = all(
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in ("words", "cells", "cell_offsets", "projection", "idf")
    )
    rest = ("detector", "provenance", "search", "fingerprint")
    return arrays and all(getattr(one, name) == getattr(other, name) for name in rest)


# Words and signatures


@pytest.mark.parametrize(("detector", "forms", "unit"), [("sift", 4, 1), ("orb", 1, 255), ("kaze", 1, 1)])
def test_forms_and_unit_belong_to_the_detector(detector: str, forms: int, unit: int) -> None:
    vocabulary = made(detector)
    assert (vocabulary.forms, vocabulary.unit, len(vocabulary)) == (forms, unit, 40 * forms)
    assert vocabulary.expanded_words().shape == (40 * forms, SIZES[detector])


@pytest.mark.parametrize("detector", SIZES)
@pytest.mark.parametrize("count", [1, 3])
def test_assign_finds_the_nearest_words(detector: str, count: int) -> None:
    vocabulary = made(detector)
    descriptors = descriptors_for(vocabulary, 200)
    scaled = descriptors.astype(int) * vocabulary.unit
    squared = ((scaled[:, None] - vocabulary.expanded_words().astype(int)) ** 2).sum(axis=2)
    words = vocabulary.assign(descriptors, count)
    assert words.ids.shape == (200, count)
    assert words.ids.dtype == np.int32
    assert words.signatures.shape == (200, count)
    assert words.signatures.dtype == np.uint64
    assert np.array_equal(words.ids, np.argsort(squared, axis=1, kind="stable")[:, :count])


@pytest.mark.parametrize("detector", SIZES)
def test_signatures_are_those_of_the_plain_formula(detector: str) -> None:
    vocabulary = made(detector)
    descriptors = descriptors_for(vocabulary, 60)
    words = vocabulary.assign(descriptors, 3)
    for descriptor, ids, signatures in zip(descriptors, words.ids, words.signatures, strict=True):
        for word, signature in zip(ids, signatures, strict=True):
            assert int(signature) == signature_by_hand(vocabulary, descriptor, int(word))


def test_half_of_the_bits_of_signatures_are_set(photos: Photos, tiny_vocabulary: Vocabulary) -> None:
    words = tiny_vocabulary.assign(extract(photos["coffee"]).descriptors)
    set_bits = (words.signatures >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    share = set_bits.mean(axis=0)
    assert 0.2 < share.min() <= share.max() < 0.8
    assert share.mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("detector", SIZES)
def test_no_descriptors_have_no_words(detector: str) -> None:
    vocabulary = made(detector)
    words = vocabulary.assign(descriptors_for(vocabulary, 0), 3)
    assert words.ids.shape == words.signatures.shape == (0, 3)
    assert words.ids.dtype == np.int32
    assert words.signatures.dtype == np.uint64


def test_one_descriptor_is_assigned_as_among_many() -> None:
    vocabulary = made()
    descriptors = descriptors_for(vocabulary, 1500)
    many = vocabulary.assign(descriptors, 2)
    one = vocabulary.assign(descriptors[1300:1301], 2)
    assert np.array_equal(one.ids, many.ids[1300:1301])
    assert np.array_equal(one.signatures, many.signatures[1300:1301])


@pytest.mark.parametrize("variant", Variant)
@pytest.mark.parametrize("count", [1, 3])
def test_permuted_is_what_assigning_permuted_descriptors_gives(variant: Variant, count: int) -> None:
    vocabulary = made()
    descriptors = descriptors_for(vocabulary, 4000)
    derived = vocabulary.permuted(vocabulary.assign(descriptors, count), variant)
    assigned = vocabulary.assign(descriptors[:, SIFT_PERMUTATIONS[variant]], count)
    assert np.array_equal(derived.ids, assigned.ids)
    assert np.array_equal(derived.signatures, assigned.signatures)
    assert derived.ids.dtype == np.int32
    assert derived.signatures.dtype == np.uint64


@pytest.mark.parametrize("variant", Variant)
def test_permuted_is_exact_where_descriptor_and_word_project_to_the_same(variant: Variant) -> None:
    vocabulary = made()
    descriptors = vocabulary.expanded_words()  # each on its word: no bit is above
    derived = vocabulary.permuted(vocabulary.assign(descriptors), variant)
    assigned = vocabulary.assign(descriptors[:, SIFT_PERMUTATIONS[variant]])
    assert np.array_equal(derived.ids, assigned.ids)
    assert np.array_equal(derived.signatures, assigned.signatures)


@pytest.mark.parametrize("variant", Variant)
def test_permuted_is_exact_for_photos(photos: Photos, tiny_vocabulary: Vocabulary, variant: Variant) -> None:
    differing = total = 0
    for picture in photos.values():
        features = extract(picture, FeatureOptions(longest_px=640))
        derived = tiny_vocabulary.permuted(tiny_vocabulary.assign(features.descriptors), variant)
        assigned = tiny_vocabulary.assign(with_descriptors_of(features, variant).descriptors)
        on_same_word = derived.ids == assigned.ids  # two words may be equally near
        differing += int(np.count_nonzero(~on_same_word))
        total += len(features)
        assert np.array_equal(derived.signatures[on_same_word], assigned.signatures[on_same_word])
    assert differing <= 0.002 * total


def test_permuting_twice_is_permuting_by_xor() -> None:
    vocabulary = made()
    words = vocabulary.assign(descriptors_for(vocabulary, 50))
    for one in Variant:
        for other in Variant:
            twice = vocabulary.permuted(vocabulary.permuted(words, one), other)
            at_once = vocabulary.permuted(words, Variant(one ^ other))
            assert np.array_equal(twice.ids, at_once.ids)
            assert np.array_equal(twice.signatures, at_once.signatures)


def test_each_variant_but_the_plain_flips_32_bits() -> None:
    vocabulary = made()
    zero = Words(np.zeros((1, 1), np.int32), np.zeros((1, 1), np.uint64))
    flips = [int(np.bitwise_count(vocabulary.permuted(zero, variant).signatures[0, 0])) for variant in Variant]
    assert flips == [0, 32, 32, 32]


def test_idf_of_a_form_is_that_of_its_word() -> None:
    sift, orb = made("sift"), made("orb")
    ids = np.array([[0, 3], [4, 159]], np.int32)
    assert np.array_equal(sift.idf_of(ids), sift.idf[[[0, 0], [1, 39]]])
    assert np.array_equal(orb.idf_of(np.array([[5]], np.int32)), orb.idf[[[5]]])


# Fingerprint


def test_fingerprint_is_stable() -> None:
    assert made().fingerprint == made().fingerprint
    assert len(made().fingerprint) == 64
    assert replace(made(), provenance={}).fingerprint == made().fingerprint


@pytest.mark.parametrize("name", ["words", "cells", "cell_offsets", "projection", "idf"])
def test_fingerprint_changes_with_any_array(name: str) -> None:
    vocabulary = made()
    changed = getattr(vocabulary, name).copy()
    changed.flat[-1] += 1
    assert replace(vocabulary, **{name: changed}).fingerprint != vocabulary.fingerprint


def test_fingerprint_changes_with_detector_search_probes_and_shape() -> None:
    vocabulary = made()
    others = [
        replace(vocabulary, detector="brisk"),
        replace(vocabulary, search="flann"),
        replace(vocabulary, probes=11),
        replace(vocabulary, flann_tree=np.zeros(3, np.uint8)),
        replace(vocabulary, words=vocabulary.words.reshape(80, -1)),
    ]
    assert len({vocabulary.fingerprint, *(other.fingerprint for other in others)}) == 6


# Files


@pytest.mark.parametrize("detector", SIZES)
def test_saved_vocabulary_loads_as_it_was(tmp_path: Path, detector: str) -> None:
    vocabulary = made(detector)
    vocabulary.save(tmp_path / "v.npz")
    loaded = Vocabulary.load(str(tmp_path / "v.npz"))
    assert same(loaded, vocabulary)
    assert loaded.flann_tree is None
    descriptors = descriptors_for(vocabulary, 100)
    assert np.array_equal(loaded.assign(descriptors).signatures, vocabulary.assign(descriptors).signatures)


def test_trained_vocabulary_loads_as_it_was(tmp_path: Path, tiny_vocabulary: Vocabulary) -> None:
    tiny_vocabulary.save(tmp_path / "v.npz")
    assert same(Vocabulary.load(tmp_path / "v.npz"), tiny_vocabulary)


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    made().save(tmp_path / "one")
    again = made()
    replace(again, provenance=dict(reversed(again.provenance.items()))).save(tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


@pytest.mark.parametrize("failing", ["numpy.savez", "os.fsync", "os.replace"])
def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    path = tmp_path / "v.npz"
    made(seed=1).save(path)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(failing, fail)
        with pytest.raises(VocabularyError, match="disk full"):
            made(seed=2).save(path)
    assert same(Vocabulary.load(path), made(seed=1))
    assert [file.name for file in tmp_path.iterdir()] == ["v.npz"]


def test_save_replaces_an_older_file(tmp_path: Path) -> None:
    made(seed=1).save(tmp_path / "v.npz")
    made(seed=2).save(tmp_path / "v.npz")
    assert same(Vocabulary.load(tmp_path / "v.npz"), made(seed=2))


def test_flipped_byte_is_found_or_does_not_matter(tmp_path: Path) -> None:
    vocabulary = made("kaze", words=3, cells=2)
    path = tmp_path / "v.npz"
    vocabulary.save(path)
    content = path.read_bytes()
    refused = 0
    for flip in (0x01, 0xFF):
        for place in range(0, len(content), 5):
            damaged = bytearray(content)
            damaged[place] ^= flip
            path.write_bytes(damaged)
            try:
                loaded = Vocabulary.load(path)
            except VocabularyError:
                refused += 1
            else:  # a byte of the archive's directory that says nothing about the content
                assert same(loaded, vocabulary)
    assert refused > 500


def test_flipped_byte_of_the_words_is_found(tmp_path: Path) -> None:
    vocabulary = made()
    path = tmp_path / "v.npz"
    vocabulary.save(path)
    content = bytearray(path.read_bytes())
    content[content.index(vocabulary.words.tobytes()) + 1234] ^= 1
    path.write_bytes(content)
    with pytest.raises(VocabularyError):
        Vocabulary.load(path)


def test_changed_words_with_a_sound_archive_are_found(tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    made().save(path)
    arrays, meta = parts_of(path)
    arrays["words"][3, 4] ^= 1
    path.write_bytes(written(arrays, meta))
    with pytest.raises(VocabularyError, match="damaged"):
        Vocabulary.load(path)


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    made("kaze", words=3, cells=2).save(path)
    content = path.read_bytes()
    for length in [*range(0, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(VocabularyError):
            Vocabulary.load(path)


def npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=array.dtype.hasobject)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"some text\n",
        b"\x80\x04]\x94.",  # a pickle
        npy(np.arange(5)),
        npy(np.array([{}], object)),
        written({}, {}),
        written({}, []),
        written({}, "featmatch vocabulary"),
        written({}, {"format": "another"}),
        written({}, {"format": "featmatch vocabulary"}),
        written({}, {"format": "featmatch vocabulary", "version": FORMAT_VERSION}),
        written({"other": np.arange(3)}, {"format": "featmatch vocabulary", "version": FORMAT_VERSION}),
    ],
    ids=range(12),
)
def test_what_is_no_vocabulary_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "v.npz"
    path.write_bytes(content)
    with pytest.raises(VocabularyError):
        Vocabulary.load(path)


def test_archive_of_arrays_without_meta_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", words=np.arange(3))
    with pytest.raises(VocabularyError):
        Vocabulary.load(tmp_path / "v.npz")


@pytest.mark.parametrize("missing", ["words", "idf", "projection"])
def test_vocabulary_without_an_array_is_refused(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "v.npz"
    made().save(path)
    arrays, meta = parts_of(path)
    del arrays[missing]
    path.write_bytes(written(arrays, meta))
    with pytest.raises(VocabularyError):
        Vocabulary.load(path)


@pytest.mark.parametrize("missing", ["detector", "search", "fingerprint", "provenance", "version", "format"])
def test_vocabulary_without_an_entry_is_refused(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "v.npz"
    made().save(path)
    arrays, meta = parts_of(path)
    del meta[missing]
    path.write_bytes(written(arrays, meta))
    with pytest.raises(VocabularyError):
        Vocabulary.load(path)


def test_other_version_is_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    made().save(path)
    arrays, meta = parts_of(path)
    path.write_bytes(written(arrays, {**meta, "version": FORMAT_VERSION + 1}))
    with pytest.raises(VocabularyError, match=str(FORMAT_VERSION + 1)):
        Vocabulary.load(path)


def test_missing_file_and_folder_are_vocabulary_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(VocabularyError, match="cannot read"):
            Vocabulary.load(path)


def test_none_is_shipped_for_kaze() -> None:
    with pytest.raises(MissingFeatureError, match="featmatch train"):
        Vocabulary.shipped("kaze")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made().save(tmp_path / "v.npz")
    size = (tmp_path / "v.npz").stat().st_size
    monkeypatch.setattr("featmatch.words.vocabulary.MOST_BYTES", size)
    Vocabulary.load(tmp_path / "v.npz")
    monkeypatch.setattr("featmatch.words.vocabulary.MOST_BYTES", size - 1)
    with pytest.raises(VocabularyError, match="too large"):
        Vocabulary.load(tmp_path / "v.npz")


def test_trees_of_older_versions_are_kept_and_not_loaded(tmp_path: Path) -> None:
    with_trees = replace(made(), search="flann", flann_tree=np.frombuffer(b"kmeans\nthese crash a loader", np.uint8))
    with_trees.save(tmp_path / "v.npz")
    loaded = Vocabulary.load(tmp_path / "v.npz")
    assert same(loaded, with_trees)
    assert np.array_equal(loaded.flann_tree, with_trees.flann_tree)  # type: ignore[arg-type]
    descriptors = with_trees.expanded_words()[:50]
    without = replace(with_trees, flann_tree=None)
    assert without.fingerprint != with_trees.fingerprint
    assert np.array_equal(loaded.nearest(descriptors, 3), without.nearest(descriptors, 3))
    assert np.mean(loaded.nearest(descriptors, 1)[:, 0] == np.arange(50)) > 0.9


@pytest.mark.parametrize("detector", ["../sift", "sift\0", "kaze"])
def test_only_detectors_have_a_shipped_vocabulary(detector: str) -> None:
    with pytest.raises(MissingFeatureError):
        Vocabulary.shipped(detector)


def test_a_vocabulary_that_cannot_be_used_is_neither_written_nor_read(tmp_path: Path) -> None:
    wrong = replace(made("sift"), probes=0)
    with pytest.raises(VocabularyError, match=r"of mine is no vocabulary that can be used: probes is 1 to 64, not 0"):
        wrong.verify("of mine")
    with pytest.raises(VocabularyError, match="probes"):
        wrong.save(tmp_path / "v.npz")
    assert list(tmp_path.iterdir()) == []
