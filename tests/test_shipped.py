"""The vocabularies that come with featmatch."""

from __future__ import annotations

import numpy as np
import pytest

from featmatch.system.shipped import shipped_file
from featmatch.words.vocabulary import Vocabulary

WORDS = {"sift": 65_536, "akaze": 16_384, "orb": 16_384, "brisk": 16_384}


@pytest.mark.parametrize("detector", WORDS)
def test_shipped_vocabulary_is_whole(detector: str) -> None:
    vocabulary = Vocabulary.shipped(detector)
    assert vocabulary.detector == detector
    assert len(vocabulary) == WORDS[detector]
    assert vocabulary.cell_offsets[-1] == len(vocabulary.words) == len(vocabulary.idf)
    assert np.all(np.diff(vocabulary.cell_offsets) >= 0)
    assert vocabulary.idf.min() > 0
    assert vocabulary.provenance["source"]


@pytest.mark.parametrize("detector", WORDS)
def test_shipped_words_find_themselves(detector: str) -> None:
    vocabulary = Vocabulary.shipped(detector)
    if vocabulary.unit > 1:
        descriptors = (vocabulary.words[:500] > 127).astype(np.uint8)
        found = vocabulary.nearest(descriptors)[:, 0]
        own = ((vocabulary.words[:500] / 255.0 - descriptors) ** 2).sum(axis=1)
        chosen = ((vocabulary.words[found] / 255.0 - descriptors) ** 2).sum(axis=1)
        assert np.mean(chosen <= own + 1e-9) > 0.99
    else:
        found = vocabulary.nearest(vocabulary.expanded_words()[:2000])[:, 0]
        assert np.mean(found == np.arange(2000)) > 0.99


def test_vocabularies_take_at_most_60_mb() -> None:
    files = list(shipped_file("sift.npz").parent.glob("*.npz"))
    assert {file.name for file in files} == {f"{detector}.npz" for detector in WORDS}
    assert sum(len(file.read_bytes()) for file in files) <= 60_000_000
