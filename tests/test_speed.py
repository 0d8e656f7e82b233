from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from featmatch import Index, Vocabulary
from featmatch.cli import cli, common
from featmatch.cli.common import wanted_features
from featmatch.errors import UsageError
from featmatch.features.detectors import DETECTORS
from featmatch.features.extraction import SPEEDS, FeatureOptions, extract

Photos = dict[str, NDArray[np.uint8]]


@pytest.mark.parametrize("detector", DETECTORS)
def test_balanced_is_the_default(detector: str) -> None:
    assert FeatureOptions.of(detector) == FeatureOptions.of(detector, "balanced") == FeatureOptions(detector)


def test_more_time_keeps_more_features(photos: Photos) -> None:
    fast, balanced, thorough = (len(extract(photos["coffee"], FeatureOptions.of("sift", speed))) for speed in SPEEDS)
    assert fast == 400
    assert fast < balanced < thorough


@pytest.mark.parametrize(("detector", "speed"), [("sift", "quick"), ("surf2", "fast")])
def test_unknown_names_are_refused(detector: str, speed: str) -> None:
    with pytest.raises(UsageError, match="unknown"):
        FeatureOptions.of(detector, speed)


def test_command_line_asks_for_what_it_is_given() -> None:
    assert common.SPEEDS == SPEEDS
    assert wanted_features(None, None) is None
    assert wanted_features("orb", None) == "orb"
    assert wanted_features(None, "fast") == FeatureOptions.of("sift", "fast")
    assert wanted_features("orb", "thorough") == FeatureOptions.of("orb", "thorough")


def test_index_keeps_its_speed(photo_folder: Path, vocabulary_file: Path, tmp_path: Path) -> None:
    index, photo = str(tmp_path / "index"), str(photo_folder / "coffee.png")

    def add(*options: str) -> tuple[int, str]:
        given = ["add", index, photo, "--jobs", "1", "--vocabulary", str(vocabulary_file), *options]
        found = CliRunner().invoke(cli, given, standalone_mode=False)
        return found.return_value if found.exception is None else 2, found.output

    assert add("--speed", "fast")[0] == 0
    assert Index.open(index).options == FeatureOptions.of("sift", "fast")
    assert "skipped 1" in add("--speed", "fast")[1]
    assert "skipped 1" in add()[1]
    status, said = add("--speed", "balanced")
    assert status == 2
    assert "made with other features" in said
    assert Index.open(index).options == FeatureOptions.of("sift", "fast")


def test_default_index_is_a_balanced_one(tiny_vocabulary: Vocabulary, tmp_path: Path) -> None:
    Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    assert Index.open(tmp_path / "index", features=FeatureOptions.of("sift")).options == FeatureOptions()
