"""What the commands share: exit statuses, options, names, and how they complain and write."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featmatch.errors import FeatmatchError
from featmatch.names import plain, unquoted

if TYPE_CHECKING:
    from featmatch.features.extraction import FeatureOptions
    from featmatch.index import Index

FOUND, NOTHING_FOUND, FAILED = 0, 1, 2
DETECTORS = ("sift", "akaze", "orb", "brisk", "kaze", "surf")
SPEEDS = ("fast", "balanced", "thorough")


class PathArgument(click.Path):
    """A path; one in quotes, as featmatch prints it, is meant without them, unless there is a file of that name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path that is meant."""
        name = unquoted(value) if isinstance(value, str) else None
        if name is not None and not os.path.lexists(value):
            value = name
        return super().convert(value, param, ctx)


features_option = click.option(
    "--features", type=click.Choice(DETECTORS), default=None, help="Kind of features.  [default: sift]"
)
speed_option = click.option(
    "--speed",
    type=click.Choice(SPEEDS),
    default=None,
    help="Of extraction, against what is found.  [default: balanced]",
)
vocabulary_option = click.option(
    "--vocabulary", type=PathArgument(), help="Vocabulary file.  [default: the shipped one]"
)
jobs_option = click.option(
    "--jobs",
    type=int,
    default=-1,
    metavar="N",
    help="Processes; -1: one for each core, -2: one less, and so on.  [default: -1]",
)
root_option = click.option(
    "--root",
    type=PathArgument(),
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
index_argument = click.argument("index", type=PathArgument(path_type=Path))


def wanted_features(features: str | None, speed: str | None) -> str | FeatureOptions | None:
    """What --features and --speed ask for; nothing where neither is given."""
    if speed is None:
        return features
    from featmatch.features.extraction import FeatureOptions

    return FeatureOptions.of(features or "sift", speed)


def name_meant(index: Index, text: str) -> str:
    """The name that is meant by an argument: as it is, where it is in the index or a file, else without its quotes."""
    name = unquoted(text)
    if name is None or index.snapshot.catalog.content_named(text) is not None or os.path.lexists(text):
        return text
    return name


def tell(message: str) -> None:
    """Say on standard error what was done. Where nobody can hear it, the work goes on."""
    with contextlib.suppress(OSError):
        click.echo(plain(message), err=True)


def complain(message: str) -> None:
    """Say on standard error what went wrong."""
    tell(f"featmatch: {message}")


def complain_of_files(index: Index, images: int = 0, so: str = "") -> None:
    """Say, once a run, how many images have no file at hand and what that means, and what is wrong with the record."""
    if images:
        count = "1 image" if images == 1 else f"{images} images"
        complain(f"the files of {count} are not at hand as they were added, so {so}; --root FOLDER says where they are")
    if index.trust_problem is not None:
        complain(index.trust_problem)


def write(target: Path, text: str) -> None:
    """Write a text file."""
    _write(target, lambda: target.write_text(text, encoding="utf-8", errors="replace"))


def save(picture: Any, target: Path) -> None:
    """Write a picture, in the format of its name."""
    from PIL import Image

    _write(target, lambda: Image.fromarray(picture).save(target))


def _write(target: Path, written: Callable[[], object]) -> None:
    try:
        written()
    except (OSError, ValueError) as error:  # Pillow knows no format of that name
        raise FeatmatchError(f"cannot write {target}: {getattr(error, 'strerror', None) or error}") from error
