"""What the commands share: exit statuses, options, and how they complain and write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featmatch.errors import FeatmatchError

if TYPE_CHECKING:
    from featmatch import Index
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


def complain_of_files(index: Index, images: int = 0, so: str = "") -> None:
    """Say, once a run, how many images have no file at hand and what that means, and what is wrong with the record."""
    if images:
        count = "1 image" if images == 1 else f"{images} images"
        complain(f"the files of {count} are not at hand as they were added, so {so}; --root FOLDER says where they are")
    if index.trust_problem is not None:
        complain(index.trust_problem)


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
