"""Answers as text: a table for a person, JSON and CSV for a program."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from featmatch.answers import Matches, Verification

_CSV_COLUMNS = (
    "query", "status", "id", "name", "probability", "score", "inliers", "agreement", "kind", "rotation_deg", "scale",
    "mirrored", "negative", "homography", "query_region", "reference_region", "query_overlap", "reference_overlap",
    "verdict",
)  # fmt: skip


def print_object(values: dict[str, Any]) -> None:
    """One JSON object on a line of its own; ASCII, so that any name survives any terminal."""
    click.echo(json.dumps(values))


def print_json(query: str, matches: Matches) -> None:
    """The JSON line of one query."""
    print_object({"query": query, "status": matches.status, "matches": [match.to_dict() for match in matches]})


def print_table(query: str, matches: Matches) -> None:
    """A heading for one query, and a line for each match."""
    if matches.status != "ok":
        click.echo(f"{printable(query)}: {matches.status}")
        return
    if not matches:
        click.echo(f"{printable(query)}: nothing found")
        return
    click.echo(f"{printable(query)}:")
    click.echo(f"  {'probability':>11}  {'inliers':>7}  {'of query':>8}  {'of image':>8}  name  (relation)")
    for match in matches:
        said = f"; {match.verdict}" if match.verdict else ""
        click.echo(
            f"  {match.probability:>11.4f}  {match.inliers:>7}  {match.query_overlap:>8.0%}  "
            f"{match.reference_overlap:>8.0%}  {printable(match.name)}  ({match.relation}{said})"
        )


class CsvPrinter:
    """CSV rows, one for each match; a query without any has one row with its status."""

    def __init__(self) -> None:
        self._writer = csv.DictWriter(sys.stdout, _CSV_COLUMNS, lineterminator="\n")
        self._writer.writeheader()

    def __call__(self, query: str, matches: Matches) -> None:
        """Print the rows of one query."""
        for match in matches:
            row = match.to_dict()
            row |= row.pop("relation")
            for nested in ("homography", "query_region", "reference_region"):
                row[nested] = json.dumps(row[nested])
            self._writer.writerow({"query": query, "status": matches.status, **row})
        if not matches:
            self._writer.writerow({"query": query, "status": matches.status})


def sentence(a: str, b: str, proof: Verification) -> str:
    """What a verification says, in one line."""
    answer = "yes" if proof else "no"
    return f"{answer}: {printable(a)} / {printable(b)}: {proof.reason} (probability {proof.probability:.4f})"


def printable(name: str) -> str:
    """A name on one line: control characters escaped, the rest as it is."""
    return "".join(
        character if character.isprintable() or "\udc80" <= character <= "\udcff" else ascii(character)[1:-1]
        for character in name
    )
