"""Making an empty index."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from featmatch.errors import StoreError, VocabularyError
from featmatch.features.detectors import descriptors_of
from featmatch.features.extraction import FeatureOptions
from featmatch.store.generation import create_catalog
from featmatch.store.layout import CATALOG, CLUSTER_FILE, OWN_NAMES, SEGMENTS, VOCABULARY, is_half_written, no_index
from featmatch.store.writing import hold_writer_lock
from featmatch.system.files import flush_folder, sha256_of
from featmatch.words.vocabulary import Vocabulary


def create_index(folder: Path, options: FeatureOptions | None, vocabulary: Vocabulary | None) -> None:
    """Make an empty index; its catalogue comes last, so half of one is no index.

    Raises:
        StoreError: it cannot be made there.
        VocabularyError: the vocabulary is for another detector.
    """
    if options is None:
        options = FeatureOptions(detector=vocabulary.detector if vocabulary else "sift")
    vocabulary = vocabulary or Vocabulary.shipped(options.detector)
    if vocabulary.detector != descriptors_of(options.detector):
        raise VocabularyError(f"the vocabulary is for {vocabulary.detector}, not for {options.detector}")
    try:
        if folder.exists() and not all(
            entry.name in OWN_NAMES or is_half_written(entry.name) for entry in folder.iterdir()
        ):
            is_cluster = (folder / CLUSTER_FILE).exists()
            raise (
                no_index(folder) if is_cluster else StoreError(f"{folder} holds other things and is no featmatch index")
            )
        (folder / SEGMENTS).mkdir(parents=True, exist_ok=True)
        flush_folder(folder.absolute().parent)
        with hold_writer_lock(folder, wait=True):
            if (folder / CATALOG).exists():
                return  # another process was quicker
            vocabulary.save(folder / VOCABULARY)
            meta: dict[str, Any] = {
                "features": dataclasses.asdict(options),
                "vocabulary": vocabulary.fingerprint,
                "vocabulary_file": sha256_of(folder / VOCABULARY),
            }
            create_catalog(folder / CATALOG, meta)
    except OSError as error:
        raise StoreError(f"cannot make an index in {folder}: {error.strerror or error}") from error
