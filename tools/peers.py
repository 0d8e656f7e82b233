"""Other ways to find copies, for ``tools.bench_peers``: each by its own calls, or built of a library's parts."""

from __future__ import annotations

import atexit
import importlib
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmatch.images.pixels import load_display, load_grey
from featmatch.index import Index

_opencv: Any = cv2
ANSWERS = 20  # of each query
_FEATURES = 800  # SIFT features a picture, as many as featmatch keeps of these photos
_NEIGHBOURS = 8  # of each descriptor; the first of another image than the best one's is the second of the ratio test
_RATIO = 0.8  # Lowe, IJCV 2004
_CELLS, _PROBES = 1024, 16  # of the inverted lists

Picture = NDArray[np.uint8]
Search = Callable[[Picture], list[tuple[str, float]]]


class Built(NamedTuple):
    """Something to search in: a picture (H, W, 3) uint8 RGB to names and scores, best first; and its size."""

    search: Search
    bytes: int


@dataclass(frozen=True)
class Peer:
    """One way to find copies.

    Attributes:
        name: as in the table.
        package: that it comes with.
        build: makes it ready for some files; ImportError or OSError: it is not at hand.
        every: of so many queries it gets one.
    """

    name: str
    package: str
    build: Callable[[Sequence[str]], Built]
    every: int = 1


def peers(every: int) -> Iterator[Peer]:
    """Every way, by name."""
    yield Peer("featmatch", "featmatch", featmatch_index)
    yield Peer("imagehash, pHash of 64 bits", "imagehash", lambda names: image_hashes(names, "phash"))
    yield Peer("imagehash, dHash of 64 bits", "imagehash", lambda names: image_hashes(names, "dhash"))
    yield Peer("imagededup, PHash", "imagededup", lambda names: imagededup_hashes(names, "PHash"))
    yield Peer("imagededup, DHash", "imagededup", lambda names: imagededup_hashes(names, "DHash"))
    yield Peer("imagededup, CNN (MobileNet v3)", "imagededup", imagededup_network)
    yield Peer("image-match, signatures", "image-match", image_match)
    yield Peer("pdqhash, PDQ of 256 bits", "pdqhash", pdq)
    yield Peer("Faiss: SIFT, inverted lists, ratio test, votes", "faiss-cpu", faiss_votes)
    yield Peer("CropCatcher, SIFT", "cropcatcher", lambda names: cropcatcher(names, "sift"), every)
    yield Peer("CropCatcher, AKAZE", "cropcatcher", lambda names: cropcatcher(names, "akaze"), every)
    yield Peer("OpenCV: SIFT, ratio test, RANSAC", "opencv-contrib-python-headless", brute_force, every)


def featmatch_index(names: Sequence[str]) -> Built:
    """An index, used as it is by default, but for unproven answers."""
    index = Index.open(working_folder() / "index", create=True)
    index.add(names, jobs=1)

    def search(picture: Picture) -> list[tuple[str, float]]:
        return [(match.name, match.score) for match in index.query(picture, unproven=True, limit=ANSWERS)]

    return Built(search, index.info().bytes)


def image_hashes(names: Sequence[str], kind: str) -> Built:
    """A hash of imagehash, as it is by default."""
    hash_of = getattr(importlib.import_module("imagehash"), kind)
    return hashes(names, lambda picture: hash_of(Image.fromarray(picture)).hash.ravel())


def imagededup_hashes(names: Sequence[str], kind: str) -> Built:
    """A hash of imagededup, as it is by default."""
    method = getattr(importlib.import_module("imagededup.methods"), kind)(verbose=False)

    def hash_of(picture: Picture) -> NDArray[np.uint8]:
        return np.unpackbits(np.frombuffer(bytes.fromhex(method.encode_image(image_array=picture)), np.uint8))

    return hashes(names, hash_of)


def pdq(names: Sequence[str]) -> Built:
    """Facebook's PDQ."""
    pdqhash = importlib.import_module("pdqhash")
    return hashes(names, lambda picture: pdqhash.compute(picture)[0])


def hashes(names: Sequence[str], hash_of: Callable[[Picture], Any]) -> Built:
    """A table of hashes, all compared with the query's by their Hamming distance."""

    def bits(picture: Picture) -> NDArray[np.uint64]:
        return np.packbits(np.asarray(hash_of(picture), bool)).view(np.uint64)

    table = np.stack([bits(load_display(name)) for name in names])

    def search(picture: Picture) -> list[tuple[str, float]]:
        return nearest(names, np.bitwise_count(table ^ bits(picture)).sum(axis=1))

    return Built(search, table.nbytes)


def imagededup_network(names: Sequence[str]) -> Built:
    """What imagededup's network says of each picture, compared by the cosine; it loads its weights from a server."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = importlib.import_module("imagededup.methods").CNN(verbose=False)

    def vector(picture: Picture) -> NDArray[np.float32]:
        found: NDArray[np.float32] = network.encode_image(image_array=picture).ravel()
        return found / np.linalg.norm(found)

    table = np.stack([vector(load_display(name)) for name in names])
    return Built(lambda picture: nearest(names, 1 - table @ vector(picture)), table.nbytes)


def image_match(names: Sequence[str]) -> Built:
    """Signatures by image-match, all compared by its distance: what its database chooses by words is a part of them."""
    signatures = importlib.import_module("image_match.goldberg").ImageSignature()
    table = [signatures.generate_signature(load_display(name)) for name in names]

    def search(picture: Picture) -> list[tuple[str, float]]:
        own = signatures.generate_signature(picture)
        return nearest(names, np.array([signatures.normalized_distance(one, own) for one in table]))

    return Built(search, sum(one.nbytes for one in table))


def cropcatcher(names: Sequence[str], method: str) -> Built:
    """CropCatcher's index of one kind of features, with a homography for each image in turn."""
    if not hasattr(cv2, f"{method.upper()}_create"):
        raise ImportError(f"CropCatcher asks for OpenCV 4; {cv2.__version__} has {method.upper()} elsewhere")
    index = importlib.import_module("cropcatcher").Index(method=method)
    index.add_images([str(name) for name in names])
    folder = working_folder()
    index.save(folder / "index")

    def search(picture: Picture) -> list[tuple[str, float]]:
        query = folder / "query.png"  # it takes paths only
        Image.fromarray(picture).save(query, compress_level=0)
        found = index.search(query, max_workers=1)
        return [(one.source, one.score) for one in found][:ANSWERS]

    return Built(search, (folder / "index").stat().st_size)


def working_folder() -> Path:
    """A new folder that is removed at the end of the run."""
    folder = tempfile.mkdtemp(prefix="featmatch-peers-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def sift(picture: Picture | str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """OpenCV's own: (N, 2) keypoints and (N, 128) descriptors."""
    grey = load_grey(picture, longest_px=2000).pixels
    keypoints, descriptors = _opencv.SIFT_create(_FEATURES).detectAndCompute(grey, None)
    if descriptors is None:
        return np.empty((0, 2), np.float32), np.empty((0, 128), np.float32)
    return np.array([keypoint.pt for keypoint in keypoints], np.float32), descriptors


def faiss_votes(names: Sequence[str]) -> Built:
    """One index of all descriptors; each of the query votes for the image of its nearest, if that is much nearer."""
    faiss = importlib.import_module("faiss")
    faiss.omp_set_num_threads(1)
    found = [sift(name)[1] for name in names]
    owner = np.repeat(np.arange(len(names)), [len(one) for one in found])
    quantiser = faiss.IndexFlatL2(128)
    index = faiss.IndexIVFScalarQuantizer(quantiser, 128, _CELLS, faiss.ScalarQuantizer.QT_8bit_direct)
    index.nprobe = _PROBES
    everything = np.concatenate(found)
    index.train(everything[np.random.default_rng(1).permutation(len(everything))[: 64 * _CELLS]])
    index.add(everything)

    def search(picture: Picture) -> list[tuple[str, float]]:
        descriptors = sift(picture)[1]
        if not len(descriptors):
            return []
        distances, rows = index.search(descriptors, _NEIGHBOURS)
        images = owner[rows]
        other = np.where(images != images[:, :1], distances, np.inf).min(axis=1)
        other = np.minimum(other, np.maximum(distances[:, -1], 1e-9))  # all of one image: the farthest found
        good = distances[:, 0] <= _RATIO**2 * other
        return ranked(names, np.bincount(images[good, 0], minlength=len(names)))

    return Built(search, len(faiss.serialize_index(index)) + owner.nbytes)


def brute_force(names: Sequence[str]) -> Built:
    """What OpenCV's tutorial does with two images, with each of them: a score is the number of inliers."""
    found = [sift(name) for name in names]
    matcher = _opencv.BFMatcher(cv2.NORM_L2)

    def inliers(own: Any, other: Any) -> int:
        pairs = [pair for pair in matcher.knnMatch(own[1], other[1], k=2) if len(pair) == 2]
        good = [best for best, second in pairs if best.distance < _RATIO * second.distance]
        if len(good) < 4:
            return 0
        source = own[0][[match.queryIdx for match in good]]
        target = other[0][[match.trainIdx for match in good]]
        _, mask = _opencv.findHomography(source, target, cv2.RANSAC, 5.0)
        return 0 if mask is None else int(mask.sum())

    def search(picture: Picture) -> list[tuple[str, float]]:
        own = sift(picture)
        return ranked(names, np.array([inliers(own, other) if len(own[0]) and len(other[0]) else 0 for other in found]))

    return Built(search, sum(points.nbytes + descriptors.nbytes for points, descriptors in found))


def nearest(names: Sequence[str], distances: NDArray[Any]) -> list[tuple[str, float]]:
    """The images with the smallest distances."""
    best = np.argsort(distances, kind="stable")[:ANSWERS]
    return [(names[place], -float(distances[place])) for place in best]


def ranked(names: Sequence[str], votes: NDArray[np.int64]) -> list[tuple[str, float]]:
    """The images with the most votes."""
    best = np.argsort(-votes, kind="stable")[:ANSWERS]
    return [(names[place], float(votes[place])) for place in best if votes[place]]
