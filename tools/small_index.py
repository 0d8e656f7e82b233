"""A small index and small pictures, for the harnesses that try to break the one with the other."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np

from featmatch import FeatureOptions, Index, Vocabulary, train_vocabulary
from featmatch.system.worker_loop import be_at_work
from featmatch.words.training import TrainingOptions

FEATURES = FeatureOptions(features=60)


def draw_pictures(folder: Path, count: int, seed: int = 1) -> list[Path]:
    """Draw pictures of soft random blobs, no two alike; 128 x 96 px, each with dozens of features."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    paths = []
    for number in range(count):
        blobs = random.integers(0, 256, (16, 12, 3)).astype(np.uint8)
        path = folder / f"{number:03d}.png"
        path.write_bytes(cv2.imencode(".png", cv2.resize(blobs, (96, 128), interpolation=cv2.INTER_CUBIC))[1].tobytes())
        paths.append(path)
    return paths


def small_vocabulary() -> Vocabulary:
    """A vocabulary of 256 words for such pictures."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = draw_pictures(Path(folder), 20, seed=0)
        options = TrainingOptions(words=256, rounds=1)
        return train_vocabulary(pictures, features=FEATURES, options=options, jobs=1)


def small_index(folder: Path, vocabulary: Vocabulary) -> Index:
    """An empty index for such pictures, or the one that is there."""
    return Index.open(folder, create=True, features=FEATURES, vocabulary=vocabulary)


def settle() -> None:
    """Make this process fit to be forked: no threads of OpenCV's."""
    cv2.setNumThreads(1)


def index_in_this_process() -> None:
    """Let ``add`` extract features in the process that calls it, whatever it does elsewhere: it is forked often."""
    be_at_work()


def open_handles() -> int:
    """How many files this process has open; 0 where the system does not say."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def memory_bytes(kind: str = "RssAnon") -> int:
    """What this process has in memory: of its own, or of mapped files ("RssFile"); 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))
