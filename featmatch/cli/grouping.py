"""The command that groups copies."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

import featmatch
from featmatch.cli import printing
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
from featmatch.names import printable

if TYPE_CHECKING:
    from featmatch.grouping.groups import Group

_CSV_COLUMNS = (
    "group", "original", "id", "name", "width", "height", "bytes", "description", "probability", "inliers", "kind",
    "rotation_deg", "scale", "mirrored", "negative", "homography", "original_by", "marked",
)  # fmt: skip


@click.command()
@index_argument
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header, one row a file.")
@click.option("--print0", is_flag=True, help="Print the files that can go, as absolute paths, a NUL after each.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page to look at them.")
@jobs_option
@root_option
def groups(
    index: Path, as_json: bool, as_csv: bool, print0: bool, html: Path | None, jobs: int, root: str | None
) -> int:
    """Group the images of INDEX that are copies of one another, in whole or in part.

    Each group begins with its original. Copies are found in what `add` stored, and kept in INDEX, so that running it
    again goes on, and later only new images are looked up. Files of groups are decoded to choose the original. No file
    is deleted.

    Files are marked that can go: when all of them were moved or deleted, each group has the file of its original still.
    """
    from featmatch.cli.progress import stages_bar

    if as_json + as_csv + print0 > 1:
        raise click.UsageError("--json, --csv or --print0, not several of them")
    with stages_bar(" images") as progress:
        opened = featmatch.Index.open(index, root=root)
        found = opened.groups(jobs=jobs, progress=lambda done, total: progress("comparing", done, total))
        if html is not None:
            from featmatch.pages.groups import NOT_AT_HAND, write_page

            dates = {record.name: record.taken for record in opened.images() if record.taken is not None}
            unseen = write_page(
                html, found, path_of=opened.path_of, dates=dates, jobs=jobs,
                progress=lambda done, total: progress("drawing", done, total),
            )  # fmt: skip
            away = sum(reason == NOT_AT_HAND for reason in unseen.values())
            for name, reason in unseen.items():
                if reason != NOT_AT_HAND:
                    complain(f"{printable(name)}: not shown: {reason}")
            complain_of_files(opened, away, "they are not shown")
    if found.unremembered is not None:
        complain(f"what was found is not kept: {found.unremembered}")
    if as_json:
        for number, group in enumerate(found, 1):
            printing.print_object({"group": number, **group.to_dict()})
    elif as_csv:
        _print_csv(found)
    elif print0:
        paths = (opened.path_of(name) for group in found for name in group.marked)
        marked = [path for path in paths if path is not None]
        for path in marked:
            printing.say_bytes(os.fsencode(os.path.realpath(path)) + b"\0")
        return FOUND if marked else NOTHING_FOUND
    else:
        _print_table(found)
    return FOUND if found else NOTHING_FOUND


def _print_table(found: Iterable[Group]) -> None:
    """A heading for each group, and a line for each file."""
    for number, group in enumerate(found, 1):
        printing.say(f"group {number}, {len(group)} files:")
        printing.say(f"  {'probability':>11}  {'inliers':>7}  {'size':>11}  {'bytes':>10}  name  (relation)")
        for member in group.members:
            size = f"{member.width}x{member.height}"
            for name in member.names:
                by = f", by: {group.original_by}" if name == group.original.names[0] and group.original_by else ""
                printing.say(
                    f"  {member.probability:>11.4f}  {member.inliers:>7}  {size:>11}  {member.bytes:>10}  "
                    f"{printable(name)}  ({member.said_of(name)}{by})"
                )


def _print_csv(found: Iterable[Group]) -> None:
    """A row for each file."""
    printer = printing.CsvPrinter(_CSV_COLUMNS)
    for number, group in enumerate(found, 1):
        about = {"group": number, "original": group.original.names[0], "original_by": group.original_by}
        for member in group.members:
            row = member.to_dict()
            row |= row.pop("relation") or {}
            del row["names"], row["same_file"]
            for name in member.names:
                row |= {"name": name, "description": member.said_of(name), "marked": str(name in group.marked).lower()}
                printer.print_row(about | row)
