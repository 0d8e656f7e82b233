"""The commands that find groups of copies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import featmatch
from featmatch.cli.common import (
    FOUND,
    NOTHING_FOUND,
    PathArgument,
    also_option,
    complain,
    complain_of_files,
    count_of,
    index_argument,
    jobs_option,
    json_option,
    open_indexes,
    ray_option,
    root_option,
    tell,
)
from featmatch.cli.outputs import OutputOption, parquet_option
from featmatch.cli.parquet import ParquetFile
from featmatch.cli.printing import say_bytes, size_of
from featmatch.cli.results import (
    group_columns,
    print_groups_csv,
    print_groups_json,
    print_groups_table,
    print_moves,
    print_pairs_json,
    print_pairs_table,
)
from featmatch.errors import FeatmatchError
from featmatch.names import absolute, printable
from featmatch.system.progress import of_stage

if TYPE_CHECKING:
    from featmatch.grouping.groups import Groups
    from featmatch.grouping.two_views import ProvenPair
    from featmatch.index import Index
    from featmatch.indexes import Indexes
    from featmatch.store.reader import Reader
    from featmatch.system.progress import Progress, StageProgress

_FORMS = ("as_json", "as_csv", "print0", "as_script")


@dataclass(frozen=True)
class Wanted:
    """Which groups are wanted, and what of them; the options of ``groups`` and ``dedupe``."""

    as_json: bool
    as_csv: bool
    print0: bool
    as_script: bool
    html: Path | None
    parquet: Path | None
    kinds: Sequence[str]
    min_probability: float
    keep: str | None
    fail: bool
    across: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if sum(getattr(self, form) for form in _FORMS) > 1:
            raise click.UsageError("use only one of --json, --csv, --print0 and --script")
        if self.keep is not None:
            from featmatch.grouping.keeping import rules_of

            rules_of(self.keep)  # better now than after an hour of comparing


def _wanted_options(command: Callable[..., int]) -> Callable[..., int]:
    for option in reversed((
        json_option,
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header, one row per file."),
        parquet_option,
        click.option(
            "--print0", is_flag=True, help="Print only the files that can go: absolute paths, a NUL after each."
        ),
        click.option("--script", "as_script", is_flag=True, help="Print a shell script that moves these to a folder."),
        click.option(
            "--html",
            cls=OutputOption,
            metavar="FILE",
            help="Write a web page that shows the groups side by side.",
        ),
        click.option(
            "--kind",
            "kinds",
            type=click.Choice(["copy", "crop", "contains", "overlap", "whole picture"]),
            multiple=True,
            help="Only images that are this of their original; repeatable.",
        ),
        click.option(
            "--min-probability",
            type=click.FloatRange(0, 1),
            default=0.0,
            metavar="P",
            help="Only images that are copies with this probability, 0 to 1.",
        ),
        click.option(
            "--keep",
            metavar="RULES",
            help="Which file of each group stays: folder:NAME, raw, detail, scene, pixels, camera, oldest, name; the "
            "first that tells files apart decides. As 'folder:originals,raw,pixels,oldest'.",
        ),
        click.option("--fail", is_flag=True, help="Exit with status 1 if any group is found, 0 if none."),
    )):  # fmt: skip
        command = option(command)
    return command


@click.command()
@index_argument
@also_option
@ray_option
@click.option(
    "--across", type=PathArgument(), nargs=2, metavar="FOLDER FOLDER",
    help="Only groups with files of both folders, such as training and test data.",
)  # fmt: skip
@_wanted_options
@jobs_option
@root_option
def groups(index: Path, also: Sequence[Path], ray: str | None, jobs: int, root: str | None, **wanted: Any) -> int:
    """Find all groups of copies among the images in INDEX.

    The images of a group are copies of one another, in whole or in part. Each group begins with its original, which is
    chosen by reading the files of the group. Results are kept in INDEX: an interrupted run continues where it was, and
    later runs compare only new images. No file is deleted.

    INDEX may be a text file that lists several indexes, one a line: they are looked at as if they were one. What is
    found is then kept in your cache folder.

    Files that can go are marked: if all marked files were moved or deleted, the file of each original would still be
    there, or, with --keep, the one that stays instead.
    """
    from featmatch.cli.progress import progress_bars

    options = Wanted(**wanted)
    with progress_bars(" images") as progress:
        opened = open_indexes(index, also, root, ray)
        return _show_groups(opened, options, jobs, progress)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=PathArgument(exists=True), metavar="FOLDER...")
@click.option("--across", is_flag=True, help="Of two FOLDERs, only groups with files of both.")
@_wanted_options
@jobs_option
def dedupe(folders: Sequence[str], across: bool, jobs: int, **wanted: Any) -> int:
    """Find all groups of copies in folders, in one step.

    The same as `add` and `groups`, with an index of its own in your cache folder: another run with the same FOLDERs
    looks only at new and changed files. No file is deleted; --script, --print0 and --html help with that.
    """
    from featmatch.cli.progress import progress_bars

    if across and len(folders) != 2:
        raise click.UsageError(f"--across takes two FOLDERs, not {len(folders)}")
    options = Wanted(**wanted, across=(folders[0], folders[1]) if across else None)
    with progress_bars(" images") as progress:
        paths = sorted(set(map(absolute, folders)))
        opened = featmatch.Index.open(_index_of(paths), create=True)
        report = opened.add(paths, jobs=jobs, prune=True, wait=True, progress=of_stage(progress, "indexing"))
        for failure in report.failed:
            complain(f"{printable(failure.name)}: {failure.status}: {failure.message}")
        return _show_groups(opened, options, jobs, progress)


@click.command()
@index_argument
@json_option
@click.option("--hloc", cls=OutputOption, metavar="FILE", help="Write the pairs as a list that hloc reads.")
@click.option(
    "--colmap",
    cls=OutputOption,
    metavar="FILE",
    help="Write a database for COLMAP: cameras, keypoints, and for each pair the keypoints that agree.",
)
@click.option(
    "--min-probability", type=click.FloatRange(0, 1), default=0.8, show_default=True, metavar="P",
    help="Only pairs that are copies with this probability, 0 to 1.",
)  # fmt: skip
@jobs_option
@root_option
def pairs(
    index: Path, as_json: bool, hloc: Path | None, colmap: Path | None, min_probability: float, jobs: int,
    root: str | None,
) -> int:  # fmt: skip
    """Print all proven pairs of images, also for hloc or COLMAP.

    The images of a pair are copies of one another, in whole or in part. They are compared as by `groups`, and what is
    found is kept in INDEX.
    """
    from featmatch.cli.progress import progress_bars
    from featmatch.grouping.two_views import proven_pairs

    if hloc is not None and hloc == colmap:
        raise click.UsageError("--hloc and --colmap are two files")
    opened = featmatch.Index.open(index, root=root)
    with progress_bars(" images") as progress:
        found, unremembered = proven_pairs(
            opened, min_probability=min_probability, jobs=jobs, progress=of_stage(progress, "comparing")
        )
    if unremembered is not None:
        complain(f"the results are not kept in the index: {unremembered}")
    if hloc is not None or colmap is not None:
        _write_pairs(opened, found, hloc, colmap)
    elif as_json:
        print_pairs_json(found)
    else:
        print_pairs_table(found)
    return FOUND if found else NOTHING_FOUND


def _write_pairs(index: Index, found: Sequence[ProvenPair], hloc: Path | None, colmap: Path | None) -> None:
    from featmatch.grouping.colmap import write_database, write_pairs
    from featmatch.grouping.two_views import images_in, two_views

    for target in filter(None, (hloc, colmap)):
        try:
            if target is hloc:
                unfit = write_pairs(target, [proven.names for proven in found])
                for pair in unfit:
                    complain(f"{' / '.join(map(printable, pair))}: left out, since hloc reads no names with spaces")
                count = len(found) - len(unfit)
            else:
                images = images_in(index, found)
                names = dict(chain.from_iterable(proven.numbered_names() for proven in found))
                count = write_database(target, images, names, two_views(found, images, index.vocabulary))
        except OSError as error:
            raise FeatmatchError(f"cannot write {target}: {error.strerror or error}") from error
        tell(f"{printable(str(target))}: {count_of(count, 'pair')}")


def _index_of(paths: Sequence[str]) -> Path:
    """Where the index of some paths is kept, in a folder of which nothing is missed if it is deleted."""
    from platformdirs import user_cache_path

    key = hashlib.sha256(os.fsencode("\0".join(paths))).hexdigest()[:20]
    folder = user_cache_path("featmatch") / "dedupe"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{key}.fm"


def _show_groups(opened: Index | Indexes, wanted: Wanted, jobs: int, progress: StageProgress) -> int:
    index: Reader = opened if isinstance(opened, featmatch.Index) else opened.joined
    columns = group_columns(several=index is not opened)
    table = None if wanted.parquet is None else ParquetFile(wanted.parquet, columns)
    found = _selected(opened.groups(jobs=jobs, progress=of_stage(progress, "comparing")), index, wanted)
    if wanted.html is not None:
        _write_page(wanted.html, found, index, jobs, of_stage(progress, "drawing"))
    if table is not None:
        for row in found.rows():
            table.add(row)
        table.write()
    if found.unremembered is not None:
        complain(f"the results are not kept in the index: {found.unremembered}")
    marked = [path for group in found for name in group.marked if (path := index.path_of(name)) is not None]
    if wanted.as_json:
        print_groups_json(found)
    elif wanted.as_csv:
        print_groups_csv(found, several=index is not opened)
    elif wanted.print0:
        for path in marked:
            say_bytes(os.fsencode(os.path.realpath(path)) + b"\0")
    elif wanted.as_script:
        print_moves(map(os.path.realpath, marked))
    else:
        print_groups_table(found)
        _tell_totals(found)
    shown: Sequence[object] = marked if wanted.print0 or wanted.as_script else found
    return FOUND if bool(shown) != wanted.fail else NOTHING_FOUND


def _selected(found: Groups, index: Reader, wanted: Wanted) -> Groups:
    if wanted.across is not None:
        from featmatch.grouping.selecting import across

        found = across(found, index, *wanted.across)
    if wanted.kinds or wanted.min_probability:
        from featmatch.grouping.selecting import selected

        found = selected(found, wanted.kinds, wanted.min_probability)
    if wanted.keep is not None:
        from featmatch.grouping.keeping import keep_by, rules_of

        found = keep_by(found, rules_of(wanted.keep), {record.name: record for record in index.images()})
    return found


def _tell_totals(found: Groups) -> None:
    if not found:
        tell("no copies found")
        return
    going = [member.bytes for group in found for member in group for name in member.names if name in group.marked]
    told = f"{count_of(len(found), 'group')}, {count_of(sum(map(len, found)), 'file')}"
    tell(f"{told}; {count_of(len(going), 'file')} can go, {size_of(sum(going))}")


def _write_page(target: Path, groups: Groups, index: Reader, jobs: int, progress: Progress) -> None:
    from featmatch.pages.groups import NOT_AT_HAND, write_page

    records = {record.name: record for record in index.images()}
    unseen = write_page(
        target, groups, path_of=index.path_of, records=records, kept_picture_of=index.picture_of, jobs=jobs,
        progress=progress,
    )  # fmt: skip
    for name, reason in unseen.items():
        if reason != NOT_AT_HAND:
            complain(f"{printable(name)}: not shown: {reason}")
    effect = "they are shown small and grey, as INDEX keeps them, or not at all"
    complain_of_files(index, list(unseen.values()).count(NOT_AT_HAND), effect)
