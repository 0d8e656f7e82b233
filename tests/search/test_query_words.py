"""What a query looks up, against words that are looked for one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from featmatch.features.symmetry import Variant
from featmatch.search import query_words
from featmatch.search.query_words import QueryWords, fixed_bits
from tests.search.votes import features_at_random
from tests.words.vocabularies import descriptors_for, made


@pytest.mark.parametrize("detector", ["sift", "kaze"])
@pytest.mark.parametrize("count", [1, 3])
def test_words_of_a_query_are_those_of_each_of_its_variants(detector: str, count: int) -> None:
    vocabulary = made(detector)
    plain = replace(features_at_random(30), detector=detector, descriptors=descriptors_for(vocabulary, 30))
    others = replace(plain, descriptors=descriptors_for(vocabulary, 20, seed=5))[:20]
    variants = [plain, plain if detector == "sift" else others]
    words = QueryWords.of(vocabulary, variants, np.zeros(count, np.int64))
    assert [column.dtype.str for column in list(vars(words).values())[:6]] == ["<i4", "<u8", "<f4", "<i4", "<i8", "|u1"]
    first = vocabulary.assign(plain.descriptors, count)
    second = vocabulary.permuted(first, Variant.MIRRORED) if detector == "sift" else vocabulary.assign(
        others.descriptors, count
    )  # fmt: skip
    for variant, expected in ((Variant.PLAIN, first), (Variant.MIRRORED, second)):
        entries, features, most = words.of_variant(variant)
        assert entries.words.tolist() == expected.ids.ravel().tolist()
        assert entries.signatures.tolist() == expected.signatures.ravel().tolist()
        assert entries.weights.tolist() == (vocabulary.idf_of(expected.ids.ravel()) ** 2).tolist()
        assert features.tolist() == np.repeat(np.arange(len(expected.ids)), count).tolist()
        assert most == np.bincount(entries.words).max()
        assert words.of_variant(variant) is words.of_variant(variant)  # for all segments and indexes


def test_one_word_is_looked_up_by_so_many_features_of_a_variant_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_words, "MOST_OF_WORD", 4)
    vocabulary = made("sift")
    descriptors = np.tile(descriptors_for(vocabulary, 3), (6, 1))
    query = replace(features_at_random(18), descriptors=descriptors)
    words = QueryWords.of(vocabulary, [query, query], np.zeros(1, np.int64))
    for variant in (Variant.PLAIN, Variant.MIRRORED):
        entries, features, most = words.of_variant(variant)
        assert set(np.bincount(entries.words).tolist()) <= {0, 4, 8, 12}  # unless descriptors share their word
        assert most == np.bincount(entries.words).max()
        assert features.tolist() == sorted(features.tolist())
        assert len(features) < 18


def test_few_features_fix_no_bit() -> None:
    assert fixed_bits(5, 300_000_000).tolist() == [0] * 5
    assert fixed_bits(5, 300_000_001).tolist() == [2, 3, 4, 4, 4]
