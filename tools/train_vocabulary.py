"""Train the vocabularies that featmatch ships, and write them to data/.

    python tools/train_vocabulary.py DETECTOR PHOTOS...

The settings of each shipped vocabulary stand here, so that it can be made again; ``featmatch train`` is for a user's
own.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from featmatch.cli.progress import progress_bars
from featmatch.features.extraction import FeatureOptions
from featmatch.words.training import TrainingOptions, train_vocabulary

# Each photo is looked at in several sizes, so that features of all sizes are there. The binary detectors find more in
# each, and their words are fewer.
SETTINGS = {
    "sift": (FeatureOptions("sift"), TrainingOptions(words=65_536, scales=(1.0, 0.5, 1.5))),
    **{
        detector: (
            FeatureOptions(detector, features=600, features_at_longest=600),
            TrainingOptions(words=16_384, scales=(1.0, 0.5), rounds=1),
        )
        for detector in ("akaze", "orb", "brisk")
    },
}


def main() -> None:
    """Train one vocabulary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("detector", choices=sorted(SETTINGS))
    parser.add_argument("photos", nargs="+", help="files and folders")
    parser.add_argument("--source", default="", help="where the photos come from, for the provenance")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "data")
    parser.add_argument("--jobs", type=int, default=-1)
    arguments = parser.parse_args()
    features, options = SETTINGS[arguments.detector]
    with progress_bars() as progress:
        vocabulary = train_vocabulary(
            arguments.photos,
            features=features,
            options=options,
            jobs=arguments.jobs,
            progress=progress,
        )
    provenance = {**vocabulary.provenance, "source": arguments.source}
    vocabulary = dataclasses.replace(vocabulary, provenance=provenance)
    target = arguments.out / f"{arguments.detector}.npz"
    vocabulary.save(target)
    print(f"{target}: {len(vocabulary)} words, {target.stat().st_size} bytes, {vocabulary.fingerprint}")


if __name__ == "__main__":
    main()
