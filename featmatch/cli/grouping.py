"""The command that finds groups of copies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

import featmatch
from featmatch.cli.common import (
    FOUND,
    NOTHING_FOUND,
    complain,
    complain_of_files,
    index_argument,
    jobs_option,
    json_option,
    root_option,
)
from featmatch.cli.printing import say_bytes
from featmatch.cli.results import print_groups_csv, print_groups_json, print_groups_table
from featmatch.names import printable
from featmatch.system.progress import of_stage

if TYPE_CHECKING:
    from featmatch.grouping.groups import Groups
    from featmatch.index import Index
    from featmatch.system.progress import Progress


@click.command()
@index_argument
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header, one row per file.")
@click.option("--print0", is_flag=True, help="Print only the files that can go: absolute paths, a NUL after each.")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a web page that shows the groups side by side.",
)
@jobs_option
@root_option
def groups(
    index: Path, as_json: bool, as_csv: bool, print0: bool, html: Path | None, jobs: int, root: str | None
) -> int:
    """Find all groups of copies among the images in INDEX.

    The images of a group are copies of one another, in whole or in part. Each group begins with its original, which is
    chosen by reading the files of the group. Results are kept in INDEX: an interrupted run continues where it was, and
    later runs compare only new images. No file is deleted.

    Files that can go are marked: if all marked files were moved or deleted, the file of each original would still be
    there.
    """
    from featmatch.cli.progress import progress_bars

    if as_json + as_csv + print0 > 1:
        raise click.UsageError("use only one of --json, --csv and --print0")
    with progress_bars(" images") as progress:
        opened = featmatch.Index.open(index, root=root)
        found = opened.groups(jobs=jobs, progress=of_stage(progress, "comparing"))
        if html is not None:
            _write_page(html, found, opened, jobs, of_stage(progress, "drawing"))
    if found.unremembered is not None:
        complain(f"the results are not kept in the index: {found.unremembered}")
    if as_json:
        print_groups_json(found)
    elif as_csv:
        print_groups_csv(found)
    elif print0:
        paths = (opened.path_of(name) for group in found for name in group.marked)
        marked = [path for path in paths if path is not None]
        for path in marked:
            say_bytes(os.fsencode(os.path.realpath(path)) + b"\0")
        return FOUND if marked else NOTHING_FOUND
    else:
        print_groups_table(found)
    return FOUND if found else NOTHING_FOUND


def _write_page(target: Path, groups: Groups, index: Index, jobs: int, progress: Progress) -> None:
    from featmatch.pages.groups import NOT_AT_HAND, write_page

    records = {record.name: record for record in index.images()}
    unseen = write_page(target, groups, path_of=index.path_of, records=records, jobs=jobs, progress=progress)
    for name, reason in unseen.items():
        if reason != NOT_AT_HAND:
            complain(f"{printable(name)}: not shown: {reason}")
    complain_of_files(index, list(unseen.values()).count(NOT_AT_HAND), "they are not shown")
