"""What the commands share: exit statuses, options, and how they complain and write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featmatch.errors import FeatmatchError

if TYPE_CHECKING:
    from featmatch.features import FeatureOptions

FOUND, NOTHING_FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130
DETECTORS = ("sift", "akaze", "orb", "brisk", "kaze", "surf")
SPEEDS = ("fast", "balanced", "thorough")

features_option = click.option(
    "--features", type=click.Choice(DETECTORS), default=None, help="Kind of features.  [default: sift]"
)
speed_option = click.option(
    "--speed",
    type=click.Choice(SPEEDS),
    default=None,
    help="Of extraction, against what is found.  [default: balanced]",
)
vocabulary_option = click.option("--vocabulary", type=click.Path(), help="Vocabulary file.  [default: the shipped one]")
jobs_option = click.option(
    "--jobs", type=int, default=-1, metavar="N", help="Processes; -1: one for each core.  [default: -1]"
)
root_option = click.option(
    "--root",
    type=click.Path(),
    metavar="FOLDER",
    help="Where the collection is now; names are relative to this folder.  [default: as INDEX keeps it]",
)
timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="For each image; one that takes longer has failed.",
)
max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=178_956_970,  # as ``formats`` has it, which is not imported to parse
    show_default=True,
    metavar="N",
    help="Larger images are refused; with more, decoding may take memory in proportion.",
)
wait_option = click.option("--wait", is_flag=True, help="Wait for another writer to end, rather than failing at once.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
match_option = click.option(
    "--match", metavar="WORDS", help="Only images with all these words in name, text, caption, camera or date taken."
)
index_argument = click.argument("index", type=click.Path(path_type=Path))


def wanted_features(features: str | None, speed: str | None) -> str | FeatureOptions | None:
    """What --features and --speed ask for; nothing where neither is given."""
    if speed is None:
        return features
    from featmatch.features import FeatureOptions

    return FeatureOptions.of(features or "sift", speed)


def complain(message: str) -> None:
    """Say on standard error what went wrong."""
    click.echo(f"featmatch: {message}", err=True)


def write(target: Path, text: str) -> None:
    """Write a text file."""
    try:
        target.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise FeatmatchError(f"cannot write {target}: {error.strerror}") from error


def save(picture: Any, target: Path) -> None:
    """Write a picture, in the format of its name."""
    from PIL import Image

    try:
        Image.fromarray(picture).save(target)
    except (OSError, ValueError) as error:
        raise FeatmatchError(f"cannot write {target}: {error}") from error
