"""What the commands share: exit statuses, options, messages, and writing files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import featmatch
from featmatch.errors import FeatmatchError
from featmatch.names import path_meant, plain, unquoted

if TYPE_CHECKING:
    from featmatch.features.extraction import FeatureOptions
    from featmatch.index import Index
    from featmatch.indexes import Indexes
    from featmatch.search.matches import Match
    from featmatch.store.reader import Reader

_Command = TypeVar("_Command", bound="Callable[..., Any]")

FOUND, NOTHING_FOUND, FAILED = 0, 1, 2
DETECTORS = ("sift", "opencv-sift", "akaze", "orb", "brisk", "kaze", "surf")
FORMS = ("few", "all", "none")
CLUSTER_FILE = "cluster.json"  # that of store.layout, which takes too long to import here
SPEEDS = ("fast", "balanced", "thorough")


class PathArgument(click.Path):
    """A path. The quoted form that featmatch prints is accepted too, unless a file has that very name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, without featmatch's quotes."""
        return super().convert(path_meant(value) if isinstance(value, str) else value, param, ctx)


features_option = click.option(
    "--features",
    type=click.Choice(DETECTORS),
    default=None,
    help="Feature detector; sift finds the most.  [default: sift]",
)
speed_option = click.option(
    "--speed",
    type=click.Choice(SPEEDS),
    default=None,
    help="Extraction speed; slower finds more.  [default: balanced]",
)
vocabulary_option = click.option(
    "--vocabulary",
    type=PathArgument(),
    metavar="FILE",
    help="Visual vocabulary, as `train` writes it.  [default: shipped]",
)
jobs_option = click.option(
    "--jobs",
    type=int,
    default=-1,
    metavar="N",
    help="Number of processes; -1: one for each core, -2: one fewer, and so on.  [default: -1]",
)
timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for one image; one that takes longer counts as failed.",
)
max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=178_956_970,  # MAX_PIXELS of images.formats, which takes too long to import here
    show_default=True,
    metavar="N",
    help="Refuse larger images. A higher limit lets decoding use more memory, in proportion.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")
match_option = click.option(
    "--match",
    metavar="WORDS",
    help="Only images with all these words in their name, text, caption, camera or date taken.",
)
also_option = click.option(
    "--also",
    multiple=True,
    type=PathArgument(path_type=Path),
    metavar="INDEX2",
    help="Ask this index too, as if INDEX held its images as well. Can be given several times.",
)
ray_option = click.option(
    "--ray",
    metavar="ADDRESS",
    help="Let the machines of this Ray cluster answer, which `cluster serve` started for INDEX; auto: the one here.",
)
forms_option = click.option(
    "--forms",
    type=click.Choice(FORMS),
    default="few",
    show_default=True,
    help="Other forms of an image to look up if nothing is proven: stretched, enlarged, sharpened and so on.",
)
index_argument = click.argument("index", type=PathArgument(path_type=Path))


def root_option_of(what: str) -> Callable[[_Command], _Command]:
    """``--root`` of a command whose collection the help calls so."""
    return click.option(
        "--root",
        type=PathArgument(),
        metavar="FOLDER",
        help=f"Folder where the images are now; names in {what} are relative to it.  [default: as stored in {what}]",
    )


def wait_option_of(what: str) -> Callable[[_Command], _Command]:
    """``--wait``, likewise."""
    return click.option(
        "--wait", is_flag=True, help=f"If another process is writing to {what}, wait for it instead of failing."
    )


root_option, wait_option = root_option_of("INDEX"), wait_option_of("INDEX")


def wanted_features(features: str | None, speed: str | None) -> str | FeatureOptions | None:
    """The features that --features and --speed ask for; None where neither was given."""
    if speed is None:
        return features
    from featmatch.features.extraction import FeatureOptions

    return FeatureOptions.of(features or "sift", speed)


def open_indexes(index: Path, also: Sequence[Path], root: str | None, ray: str | None = None) -> Index | Indexes:
    """One index; or several that are asked as one: more are named, or INDEX is a cluster or a file that lists some."""
    if also or ray or index.is_file() or (index / CLUSTER_FILE).is_file():
        return featmatch.open_all([index, *also], root=root, ray=ray)
    return featmatch.Index.open(index, root=root)


def open_reader(index: Path, root: str | None = None) -> Reader:
    """An index, or several that are read as one (``open_indexes``)."""
    opened = open_indexes(index, (), root)
    return opened if isinstance(opened, featmatch.Index) else opened.joined


def path_of_match(opened: Index | Indexes, match: Match) -> str | None:
    """Where the file of a match is now; None where it is not at hand."""
    return opened.path_of(match.name) if isinstance(opened, featmatch.Index) else opened.path_of(match)


def name_meant(index: Reader, text: str) -> str:
    """The image name that an argument means: as it is if the index has it or it is a file, else without quotes."""
    name = unquoted(text)
    if name is None or index.snapshot.catalog.content_named(text) is not None or os.path.lexists(text):
        return text
    return name


def tell(message: str) -> None:
    """Print a message on standard error. That it cannot be printed does not end the work."""
    with contextlib.suppress(OSError):
        click.echo(plain(message), err=True)


def complain(message: str) -> None:
    """Print on standard error what went wrong."""
    tell(f"featmatch: {message}")


def count_of(number: int, noun: str) -> str:
    """A number of things.

    >>> count_of(1, "image"), count_of(2, "image")
    ('1 image', '2 images')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def complain_of_files(index: Reader | Indexes, images: int = 0, effect: str = "") -> None:
    """Report problems with the files that an index names; called once a run.

    Args:
        index: as opened for the run; its ``trust_problem`` is reported.
        images: how many images have no file that is as it was added.
        effect: what that means for the results.
    """
    if images:
        complain(
            f"the files of {count_of(images, 'image')} are not at hand (moved, changed, in an archive, unreadable), "
            f"so {effect}; if they were moved, say where they are with --root FOLDER"
        )
    if index.trust_problem is not None:
        complain(index.trust_problem)


def write(target: Path, text: str) -> None:
    """Write a text file."""
    _write(target, lambda: target.write_text(text, encoding="utf-8", errors="replace"))


def save(picture: Any, target: Path) -> None:
    """Write a picture; the ending of its name decides the format."""
    from PIL import Image

    _write(target, lambda: Image.fromarray(picture).save(target))


def _write(target: Path, write_file: Callable[[], object]) -> None:
    try:
        write_file()
    except (OSError, ValueError) as error:  # Pillow knows no format of that name
        raise FeatmatchError(f"cannot write {target}: {getattr(error, 'strerror', None) or error}") from error
