"""The visual vocabulary: descriptors -> visual words and 64-bit signatures."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import checked_path
from featmatch.errors import MissingFeatureError, VocabularyError
from featmatch.features.detectors import DESCRIPTOR_SIZE, descriptors_of
from featmatch.features.symmetry import Variant
from featmatch.native.words import Centres, signatures_of
from featmatch.system.arrays import read_archive
from featmatch.system.files import open_file, replace_file
from featmatch.system.shipped import shipped_file
from featmatch.words.nearest import FlannSearch, TwoLevelSearch, WordSearch, all_forms
from featmatch.words.others import AnnoySearch, FaissSearch, NmslibSearch
from featmatch.words.signatures import form_signs, forms_of
from featmatch.words.vocabulary_check import ARRAYS, Settings, faults

FORMAT_VERSION = 1
_HIGH = 8  # bits by which posting lists may be cut
_SEARCHES: dict[str, Callable[[NDArray[np.uint8], int], WordSearch]] = {
    "flann": FlannSearch,
    "faiss": FaissSearch,
    "nmslib": NmslibSearch,
    "annoy": AnnoySearch,
}
MOST_BYTES = 1 << 28  # of a file: half a million words of the longest descriptors


@dataclass(frozen=True)
class Words:
    """Visual words and signatures of the descriptors of one picture, nearest word first.

    Attributes:
        ids: (N, n) int32.
        signatures: (N, n) uint64; the one at [i, j] is relative to word ``ids[i, j]``.
    """

    ids: NDArray[np.int32]
    signatures: NDArray[np.uint64]


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """Visual words, and the projection that makes Hamming signatures.

    Attributes:
        detector: whose descriptors it is for.
        words: (K, D) uint8, base words, ordered by cell. A closed vocabulary has four forms of each.
        cells: (C, D) uint8, base cells of the two-level search.
        cell_offsets: (C + 1,) int64, where the words of each cell begin.
        projection: (64, D) int8. Closed: 16 rows of each joint eigenspace of the mirror and negative permutations.
        idf: (K,) float32, inverse document frequency over the training images, in nats. Fixed with the vocabulary,
            so that what is found never depends on what else is in a collection, or in which order it came.
        provenance: what it was trained on and how; free form, JSON.
        search: how words are found: one of ``vocabulary_check.SEARCHES``.
        probes: how many cells the two-level search looks into; docs/words.md has the measurement.
        flann_tree: (n,) uint8, FLANN trees in files of older versions: part of the fingerprint, never loaded.
    """

    detector: str
    words: NDArray[np.uint8]
    cells: NDArray[np.uint8]
    cell_offsets: NDArray[np.int64]
    projection: NDArray[np.int8]
    idf: NDArray[np.float32]
    provenance: dict[str, Any]
    search: str = "two-level"
    probes: int = 6
    flann_tree: NDArray[np.uint8] | None = None

    @property
    def forms(self) -> int:
        """How many forms each base word has: 4 for SIFT, else 1."""
        return forms_of(self.detector)

    @property
    def unit(self) -> int:
        """What one step of a descriptor is in the numbers of ``words``."""
        return 255 if self.detector in ("akaze", "orb", "brisk") else 1

    def __repr__(self) -> str:
        return f"Vocabulary(detector={self.detector!r}, words={len(self)}, search={self.search!r})"

    def __len__(self) -> int:
        """Number of visual words, all forms counted."""
        return len(self.words) * self.forms

    def assign(self, descriptors: NDArray[np.uint8], count: int = 1) -> Words:
        """Find the nearest words of descriptors, and their signatures relative to those.

        Args:
            descriptors: (N, D) uint8.
            count: how many words for each.
        """
        descriptors = np.ascontiguousarray(descriptors)
        ids = self.nearest(descriptors, count)
        words = np.ascontiguousarray(self.words)
        return Words(ids, signatures_of(self._projection, self.unit, descriptors, words, self._form_signs, ids))

    def firm_bits(
        self, descriptors: NDArray[np.uint8], ids: NDArray[np.int32], counts: NDArray[np.integer]
    ) -> NDArray[np.uint8]:
        """Which of the 8 highest bits of signatures are the least likely to differ in another picture of the same.

        Args:
            descriptors: (N, D) uint8.
            ids: (N, n) int32, their words.
            counts: (n,) how many bits of each, 0 to 8.

        Returns:
            (N, n) uint8, a bit set for each. In a closed vocabulary the same ones hold in all variants, as these turn
            bits and move no descriptor nearer to where they turn.
        """
        if not counts.any():
            return np.zeros(ids.shape, np.uint8)
        seen = descriptors.astype(np.int32) @ self._high_rows.T * self.unit
        signs = self._form_signs[:, -_HIGH:].astype(np.int32)
        margins = np.abs(seen[:, None] * signs[ids % self.forms] - self._high_words[ids // self.forms])
        firmest = np.uint8(1) << np.argsort(-margins, axis=-1, kind="stable").astype(np.uint8)
        return np.asarray(np.bitwise_or.reduce(firmest, axis=-1, where=np.arange(_HIGH) < counts[:, None]), np.uint8)

    def nearest(self, descriptors: NDArray[np.uint8], count: int = 1) -> NDArray[np.int32]:
        """The nearest words alone: (N, D) uint8 to (N, count) int32."""
        return self._searcher.nearest(descriptors, count)

    def permuted(self, words: Words, variant: Variant) -> Words:
        """The words and signatures of a variant, from those of the plain features (closed vocabularies)."""
        return Words(words.ids ^ np.int32(variant), words.signatures ^ self._variant_masks[variant])

    def idf_of(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Inverse document frequency of words, of the same shape as ``ids``."""
        return self.idf[ids // self.forms]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all that decides words and signatures."""
        digest = hashlib.sha256(f"featmatch {FORMAT_VERSION} {self.detector} {self.search} {self.probes}".encode())
        for array in self.arrays().values():
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one file, whole or not at all.

        Raises:
            VocabularyError: it cannot be written, or would not be read again (see ``verify``).
        """
        meta = {
            "format": "featmatch vocabulary",
            "version": FORMAT_VERSION,
            "detector": self.detector,
            "search": self.search,
            "probes": self.probes,
            "fingerprint": self.fingerprint,
            "provenance": self.provenance,
        }
        target = Path(checked_path(path, "path"))
        self.verify(str(target))
        try:
            with replace_file(target) as file:
                np.savez(file, allow_pickle=False, meta=_as_bytes(meta), **self.arrays())
        except OSError as error:
            raise VocabularyError(f"cannot write {target}: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Read a vocabulary file.

        Raises:
            VocabularyError: it is missing, damaged, of another version, or no vocabulary.
        """
        path = checked_path(path, "path")
        try:
            with open_file(path) as file:
                return cls.read(file, str(path))
        except OSError as error:
            raise VocabularyError(f"cannot read vocabulary {path}: {error.strerror}") from error

    @classmethod
    def read(cls, file: BinaryIO, name: str) -> Vocabulary:
        """Read a vocabulary from an open file.

        Args:
            file: at its beginning.
            name: of the file, for messages.

        Raises:
            VocabularyError: as ``load``.
            OSError: it cannot be read.
        """
        content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise VocabularyError(f"{name} is too large for a vocabulary")
        return cls._parse(content, name)

    @classmethod
    def shipped(cls, detector: str) -> Vocabulary:
        """The vocabulary that comes with featmatch.

        >>> Vocabulary.shipped("orb")
        Vocabulary(detector='orb', words=16384, search='two-level')

        Raises:
            MissingFeatureError: none is shipped for this detector, or featmatch has come without its files.
        """
        kind = descriptors_of(detector)
        file = shipped_file(f"{kind}.npz")
        if kind not in DESCRIPTOR_SIZE or not file.is_file():
            if kind in ("akaze", "orb", "brisk"):
                raise MissingFeatureError(
                    f"the vocabulary for {kind} is installed apart: pip install ./data in the source of featmatch, or "
                    f"give its file: --vocabulary {kind}.npz"
                )
            raise MissingFeatureError(
                f"no vocabulary is shipped for {detector}; train one: featmatch train OUT PATH... --features {detector}"
            )
        return cls._parse(file.read_bytes(), f"{kind} (shipped)")

    @classmethod
    def _parse(cls, content: bytes, name: str) -> Vocabulary:
        try:
            arrays = read_archive(content, ARRAYS, frozenset(("flann_tree",)))
            meta = json.loads(arrays.pop("meta").tobytes())
            if meta["format"] != "featmatch vocabulary":
                raise ValueError("no vocabulary")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise VocabularyError(f"{name} is damaged, or no featmatch vocabulary") from error
        if meta.get("version") != FORMAT_VERSION:
            raise VocabularyError(
                f"{name} is a vocabulary of format {meta.get('version')!r:.20}; this featmatch reads {FORMAT_VERSION}"
            )
        try:
            vocabulary = cls(
                meta["detector"], provenance=meta["provenance"], search=meta["search"], probes=meta["probes"], **arrays
            )
            fingerprint = meta["fingerprint"]
        except (KeyError, TypeError) as error:
            raise VocabularyError(f"{name} is damaged") from error
        vocabulary.verify(name)
        if vocabulary.fingerprint != fingerprint:
            raise VocabularyError(f"{name} is damaged: its fingerprint does not fit")
        return vocabulary

    def verify(self, name: str) -> None:
        """Check type, shape, range and order of everything: compiled code relies on them.

        Args:
            name: of the vocabulary, for the message.

        Raises:
            VocabularyError: something is not as it must be.
        """
        settings = Settings(self.detector, self.search, self.probes, self.provenance)
        for fault in faults(settings, self.arrays()):
            raise VocabularyError(f"{name} is no vocabulary that can be used: {fault}")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of a vocabulary file, by name."""
        arrays: dict[str, NDArray[Any]] = {
            "words": self.words,
            "cells": self.cells,
            "cell_offsets": self.cell_offsets,
            "projection": self.projection,
            "idf": self.idf,
        }
        if self.flann_tree is not None:
            arrays["flann_tree"] = self.flann_tree
        return arrays

    @cached_property
    def _projection(self) -> Centres:
        return Centres(np.ascontiguousarray(self.projection).view(np.uint8) ^ np.uint8(128))

    @cached_property
    def _high_rows(self) -> NDArray[np.int32]:
        return self.projection[-_HIGH:].astype(np.int32)

    @cached_property
    def _high_words(self) -> NDArray[np.int32]:
        """(K, 8): how the rows of the highest bits see the words."""
        return self.words.astype(np.int32) @ self._high_rows.T

    @cached_property
    def _form_signs(self) -> NDArray[np.float32]:
        return form_signs(self.projection, self.forms)

    @cached_property
    def _variant_masks(self) -> NDArray[np.uint64]:
        """(forms,): the signature bits that a variant flips."""
        bits = np.packbits(self._form_signs < 0, axis=1, bitorder="little")
        return bits.view("<u8")[:, 0].astype(np.uint64, copy=False)

    @cached_property
    def _searcher(self) -> WordSearch:
        if self.search in _SEARCHES:
            return _SEARCHES[self.search](self.expanded_words(), self.unit)
        return TwoLevelSearch(
            self.words, self.cells, self.cell_offsets, unit=self.unit, forms=self.forms, probes=self.probes
        )

    def expanded_words(self) -> NDArray[np.uint8]:
        """(len(self), D) uint8: every form of every word, in the order of word ids."""
        return all_forms(self.words, self.forms)


def _as_bytes(meta: dict[str, Any]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8)
