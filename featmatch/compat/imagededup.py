"""The calls of imagededup: ``from featmatch.compat.imagededup import PHash, CNN``.

``CNN`` finds what featmatch proves, with its probability in place of a cosine; ``PHash`` compares perceptual hashes,
and ``AHash``, ``DHash`` and ``WHash`` are other names of it. Results have the shapes that imagededup documents.
"""

from __future__ import annotations

import json
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import ImageError, UsageError
from featmatch.features.looks import WholePicture, whole_picture
from featmatch.grouping.two_views import proven_pairs
from featmatch.images.folders import image_files
from featmatch.images.pixels import load_each
from featmatch.index import Index
from featmatch.system.files import replace_file
from featmatch.system.progress import ignore

PathLike: TypeAlias = "str | os.PathLike[str]"
Scored: TypeAlias = "dict[str, list[tuple[str, float]]]"
Encoding = TypeVar("Encoding")

_LONGEST_PX = 512  # pictures are looked at as a whole in 32 px; this leaves enough to begin with


class _Method(ABC, Generic[Encoding]):
    """What all methods of imagededup have."""

    _threshold: str  # what its threshold is called

    def __init__(self, verbose: bool = True) -> None:
        """Make one; ``verbose`` is accepted and changes nothing: nothing is printed."""
        del verbose

    def encode_image(
        self, image_file: PathLike | None = None, image_array: NDArray[np.uint8] | None = None
    ) -> Encoding | None:
        """The encoding of one image; None where it cannot be read.

        Args:
            image_file: its path.
            image_array: or (H, W), (H, W, 3) or (H, W, 4) uint8.

        Raises:
            UsageError: neither is given, or the array is no image.
        """
        source = image_array if image_file is None else os.fspath(image_file)
        if source is None:
            raise UsageError("image_file or image_array is wanted")
        _, grey = next(load_each([source], longest_px=_LONGEST_PX, colours=True))
        return None if isinstance(grey, ImageError) else self._encoded(whole_picture(grey))

    def encode_images(
        self, image_dir: PathLike, recursive: bool = False, num_enc_workers: int | None = None
    ) -> dict[str, Encoding]:
        """The encodings of the images in a folder, by file name; those that cannot be read are left out.

        Args:
            image_dir: the folder.
            recursive: whether those in folders within count too; their names are relative to ``image_dir``.
            num_enc_workers: accepted; one process decodes.
        """
        del num_enc_workers
        names = dict(_files_in(image_dir, recursive))
        found = {}
        for file, grey in load_each(names, longest_px=_LONGEST_PX, colours=True):
            if not isinstance(grey, ImageError):
                found[names[str(file)]] = self._encoded(whole_picture(grey))
        return found

    def find_duplicates(
        self,
        image_dir: PathLike | None = None,
        encoding_map: Mapping[str, Encoding] | None = None,
        *,
        scores: bool = False,
        outfile: PathLike | None = None,
        recursive: bool = False,
        num_enc_workers: int | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """The duplicates of each image, by its file name: a list of names, or with ``scores`` of (name, score).

        Args:
            image_dir: a folder of images.
            encoding_map: or what ``encode_images`` gave. All further ones are given by name.
            scores: whether each duplicate has its score.
            outfile: a JSON file for the result.
            recursive: as for ``encode_images``.
            num_enc_workers: processes; 0: none but this one.
            more: the threshold, ``max_distance_threshold`` of hashes and ``min_similarity_threshold`` of ``CNN``;
                ``search_method`` and ``num_dist_workers`` are accepted.

        Raises:
            UsageError: neither a folder nor encodings are given, or an argument is unknown or out of range.
        """
        threshold = self._checked(more.pop(self._threshold, None))
        unknown = more.keys() - {"search_method", "num_dist_workers", "num_sim_workers"}
        if unknown:
            raise UsageError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        if image_dir is not None:
            found = self._in_folder(image_dir, threshold, recursive, -1 if num_enc_workers is None else num_enc_workers)
        elif encoding_map is not None:
            found = self._among(encoding_map, threshold)
        else:
            raise UsageError("an image_dir or an encoding_map is wanted")
        told = found if scores else {name: [other for other, _ in others] for name, others in found.items()}
        _write(outfile, told)
        return dict(told)

    def find_duplicates_to_remove(self, *arguments: Any, outfile: PathLike | None = None, **more: Any) -> list[str]:
        """The names of images that are duplicates of one that stays, by the order of names; nothing is removed.

        Arguments are those of ``find_duplicates`` without ``scores``. ``featmatch dedupe`` chooses with more care.
        """
        going: dict[str, None] = {}
        for name, others in self.find_duplicates(*arguments, **more).items():
            if name not in going:
                going |= dict.fromkeys(others)
        _write(outfile, list(going))
        return list(going)

    def _in_folder(self, folder: PathLike, threshold: float, recursive: bool, workers: int) -> Scored:
        del workers
        return self._among(self.encode_images(folder, recursive), threshold)

    @abstractmethod
    def _encoded(self, whole: WholePicture) -> Encoding: ...

    @abstractmethod
    def _checked(self, threshold: float | None) -> float: ...

    @abstractmethod
    def _among(self, encodings: Mapping[str, Encoding], threshold: float) -> Scored: ...


class PHash(_Method[str]):
    """Perceptual hashes of 64 bits, as 16 hexadecimal digits; scores are Hamming distances.

    The bits are featmatch's own: hashes of imagededup are to be made anew.
    """

    _threshold = "max_distance_threshold"

    @staticmethod
    def hamming_distance(hash1: str, hash2: str) -> int:
        """Number of bits in which two hashes differ.

        >>> PHash.hamming_distance("9fee256239984d71", "9fee256239984d70")
        1
        """
        return (int(hash1, 16) ^ int(hash2, 16)).bit_count()

    def _encoded(self, whole: WholePicture) -> str:
        return f"{int(whole.phashes[0]):016x}"

    def _checked(self, threshold: float | None) -> float:
        if threshold is not None and not (isinstance(threshold, int) and 0 <= threshold <= 64):
            raise UsageError("max_distance_threshold is a whole number from 0 to 64")
        return 10 if threshold is None else threshold

    def _among(self, encodings: Mapping[str, str], threshold: float) -> Scored:
        names = list(encodings)
        try:
            hashes = np.array([int(one, 16) for one in encodings.values()], np.uint64)
        except (TypeError, ValueError, OverflowError) as error:
            raise UsageError("an encoding is 16 hexadecimal digits, as encode_images gives it") from error
        found: Scored = {}
        for row, name in enumerate(names):
            distances = np.bitwise_count(hashes ^ hashes[row]).tolist()
            near = [(names[other], far) for other, far in enumerate(distances) if far <= threshold and other != row]
            found[name] = sorted(near, key=lambda one: one[1])
        return found


AHash = DHash = WHash = PHash


class CNN(_Method[NDArray[np.float32]]):
    """What featmatch proves to be copies, in whole or in part; scores are probabilities. There is no network in it.

    Encodings are (1, 90) float32, the layout and the colours of the picture as a whole, and are compared by their
    cosine: they prove nothing. Whoever has the files gives ``image_dir``.
    """

    _threshold = "min_similarity_threshold"

    def _encoded(self, whole: WholePicture) -> NDArray[np.float32]:
        look = whole.looks[0]
        halves = (look["layout"][1:].astype(np.float64), look["colours"].astype(np.float64))
        vector = np.concatenate([half / max(float(np.sqrt((half * half).sum())), 1.0) for half in halves])
        return (vector / max(float(np.sqrt((vector * vector).sum())), 1e-9)).astype(np.float32)[None]

    def _checked(self, threshold: float | None) -> float:
        if threshold is not None and not (isinstance(threshold, (int, float)) and -1.0 <= threshold <= 1.0):
            raise UsageError("min_similarity_threshold is -1.0 to 1.0")
        return 0.9 if threshold is None else threshold

    def _in_folder(self, folder: PathLike, threshold: float, recursive: bool, workers: int) -> Scored:
        names = dict(_files_in(folder, recursive))
        with tempfile.TemporaryDirectory(prefix="featmatch-") as aside:
            index = Index.open(Path(aside) / "photos.fm", create=True)
            report = index.add(names, jobs=workers or 1, pictures=False)
            pairs, _ = proven_pairs(index, min_probability=threshold, jobs=workers or 1, progress=ignore)
            known: dict[int, list[str]] = {}
            for record in index.images():
                known.setdefault(record.id, []).append(names[record.name])
        seen = {names[one.name] for one in report.failed if one.status == "too_little_detail" and one.name in names}
        seen |= {name for same in known.values() for name in same}
        found: Scored = {name: [] for name in names.values() if name in seen}
        for same in known.values():
            _join(found, same, same, 1.0)
        for pair in pairs:
            _join(found, known[pair.one], known[pair.other], pair.probability)
            _join(found, known[pair.other], known[pair.one], pair.probability)
        return {name: sorted(others, key=lambda one: (-one[1], one[0])) for name, others in found.items()}

    def _among(self, encodings: Mapping[str, NDArray[np.float32]], threshold: float) -> Scored:
        names = list(encodings)
        found: Scored = {}
        try:
            vectors = np.array([np.asarray(one).reshape(90) for one in encodings.values()])
        except (TypeError, ValueError) as error:
            raise UsageError("an encoding is (1, 90) float32, as encode_images gives it") from error
        for row, name in enumerate(names):
            cosines = (vectors * vectors[row]).sum(axis=1).tolist()
            near = [(names[other], alike) for other, alike in enumerate(cosines) if alike >= threshold and other != row]
            found[name] = sorted(near, key=lambda one: -one[1])
        return found


def _join(found: Scored, names: Iterable[str], others: list[str], score: float) -> None:
    for name in names:
        found[name] += [(other, score) for other in others if other != name]


def _files_in(folder: PathLike, recursive: bool) -> Iterator[tuple[str, str]]:
    """The paths of the images in a folder, in order, each with its name relative to that."""
    top = os.path.abspath(os.fspath(folder))
    if not os.path.isdir(top):
        raise UsageError(f"{top} is no folder")
    for path in image_files([top]):
        name = os.path.relpath(path, top)
        if recursive or os.path.dirname(name) == "":
            yield path, name


def _write(target: PathLike | None, told: object) -> None:
    if target is not None:
        with replace_file(Path(target)) as file:
            file.write(json.dumps(told, indent=2).encode())
