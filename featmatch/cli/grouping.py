"""The command that groups copies."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

import featmatch
from featmatch import tables
from featmatch.cli.common import (
    FOUND,
    NOTHING_FOUND,
    complain,
    index_argument,
    jobs_option,
    json_option,
    root_option,
)

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
    from featmatch.progress import stages_bar

    if as_json + as_csv + print0 > 1:
        raise click.UsageError("--json, --csv or --print0, not several of them")
    with stages_bar(" images") as progress:
        opened = featmatch.Index.open(index, root=root)
        found = opened.groups(jobs=jobs, progress=lambda done, total: progress("comparing", done, total))
        if html is not None:
            from featmatch.grouping.page import write_page

            dates = {record.name: record.taken for record in opened.images() if record.taken is not None}
            unseen = write_page(
                html, found, path_of=opened.path_of, dates=dates, jobs=jobs,
                progress=lambda done, total: progress("drawing", done, total),
            )  # fmt: skip
            for name, reason in unseen.items():
                complain(f"{tables.printable(name)}: not shown: {reason}")
    if found.unremembered is not None:
        complain(f"what was found is not kept: {found.unremembered}")
    if as_json:
        for number, group in enumerate(found, 1):
            tables.print_object({"group": number, **group.to_dict()})
    elif as_csv:
        _print_csv(found)
    elif print0:
        marked = [opened.path_of(name) for group in found for name in group.marked]
        click.echo(b"".join(os.fsencode(os.path.realpath(path)) + b"\0" for path in marked if path), nl=False)
        return FOUND if marked else NOTHING_FOUND
    else:
        _print_table(found)
    return FOUND if found else NOTHING_FOUND


def _print_table(found: Iterable[Group]) -> None:
    """A heading for each group, and a line for each file."""
    for number, group in enumerate(found, 1):
        click.echo(f"group {number}, {len(group)} files:")
        click.echo(f"  {'probability':>11}  {'inliers':>7}  {'size':>11}  {'bytes':>10}  name  (relation)")
        for member in group.members:
            size = f"{member.width}x{member.height}"
            for name in member.names:
                by = f", by: {group.original_by}" if name == group.original.names[0] and group.original_by else ""
                click.echo(
                    f"  {member.probability:>11.4f}  {member.inliers:>7}  {size:>11}  {member.bytes:>10}  "
                    f"{tables.printable(name)}  ({member.said_of(name)}{by})"
                )


def _print_csv(found: Iterable[Group]) -> None:
    writer = csv.DictWriter(sys.stdout, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for number, group in enumerate(found, 1):
        about = {"group": number, "original": group.original.names[0], "original_by": group.original_by}
        for member in group.members:
            row = member.to_dict()
            row |= row.pop("relation") or {}
            row["homography"] = "" if row["homography"] is None else json.dumps(row["homography"])
            del row["names"], row["same_file"]
            for name in member.names:
                row |= {"name": name, "description": member.said_of(name), "marked": str(name in group.marked).lower()}
                writer.writerow(about | row)
