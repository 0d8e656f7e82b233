"""Answers as text: a table for a person, JSON and CSV for a program."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from featmatch.answers import Matches, Verification
    from featmatch.explanation import Explanation

_CSV_COLUMNS = (
    "query", "status", "id", "name", "probability", "score", "inliers", "agreement", "kind", "rotation_deg", "scale",
    "mirrored", "negative", "homography", "query_region", "reference_region", "query_overlap", "reference_overlap",
    "verdict", "damaged", "query_damaged",
)  # fmt: skip


def print_object(values: dict[str, Any]) -> None:
    """One JSON object on a line of its own; ASCII, so that any name survives any terminal."""
    click.echo(json.dumps(values))


def print_json(query: str, matches: Matches) -> None:
    """The JSON line of one query."""
    found = [match.to_dict() for match in matches]
    print_object({"query": query, "status": matches.status, "damaged": matches.damaged, "matches": found})


def print_table(query: str, matches: Matches) -> None:
    """A heading for one query, and a line for each match."""
    title = _titled(query, matches.damaged)
    if matches.status != "ok":
        click.echo(f"{title}: {matches.status}")
        return
    if not matches:
        click.echo(f"{title}: nothing found")
        return
    click.echo(f"{title}:")
    click.echo(f"  {'probability':>11}  {'inliers':>7}  {'of query':>8}  {'of image':>8}  name  (relation)")
    for match in matches:
        said = f"; {match.verdict}" if match.verdict else ""
        click.echo(
            f"  {match.probability:>11.4f}  {match.inliers:>7}  {match.query_overlap:>8.0%}  "
            f"{match.reference_overlap:>8.0%}  {_titled(match.name, match.damaged)}  ({match.relation}{said})"
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
            self._writer.writerow(self._of_query(query, matches) | row)
        if not matches:
            self._writer.writerow(self._of_query(query, matches))

    def _of_query(self, query: str, matches: Matches) -> dict[str, Any]:
        return {"query": query, "status": matches.status, "query_damaged": matches.damaged}


def sentence(a: str, b: str, proof: Verification) -> str:
    """What a verification says, in one line."""
    answer = "yes" if proof else "no"
    pair = " / ".join(map(_titled, (a, b), proof.damaged))
    return f"{answer}: {pair}: {proof.reason} (probability {proof.probability:.4f})"


def print_explanation(query: str, explanation: Explanation) -> None:
    """A line for each stage that was reached, and where it ended."""
    votes, agreement = explanation.votes, explanation.agreement
    lines = {
        title: f"{seen.width} x {seen.height} px, {seen.features} features"
        for title, seen in (("query", explanation.query), ("image", explanation.image))
        if seen is not None
    }
    if explanation.words is not None:
        lines["words"] = f"{explanation.words.common} in common of {explanation.words.looked_up} looked up"
    if votes is not None:
        lines["hits"] = f"{votes.hits}, with the query {votes.variant.name.lower().replace('_', ' ')}"
        place = f"{votes.rank} of {votes.ranked}" if votes.rank else f"not among the best {votes.ranked}"
        lines["rank"] = f"{place} by votes; the best {votes.shortlist} go on"
    if agreement is not None and agreement.matches:
        lines["matches"] = f"{agreement.matches}, of which {agreement.inliers} agree"
    if agreement is not None and agreement.match is not None:
        pixels = agreement.match.evidence.agreement
        compared = "pixels not compared" if pixels is None else f"pixels agree to {pixels:.2f}"
        lines["probability"] = f"{agreement.match.probability:.4f} ({agreement.match.relation}; {compared})"
    click.echo(f"{printable(query)} / {printable(explanation.name)}:")
    for title, line in lines.items():
        click.echo(f"  {title:<12} {line}")
    click.echo(explanation.verdict)
    if not explanation.proven:
        click.echo(f"would let it pass: {', or '.join(explanation.options) or 'no option'}")


def _titled(name: str, damaged: bool) -> str:
    return printable(name) + (" (damaged)" if damaged else "")


def printable(name: str) -> str:
    """A name on one line: control characters escaped, the rest as it is."""
    return "".join(
        character if character.isprintable() or "\udc80" <= character <= "\udcff" else ascii(character)[1:-1]
        for character in name
    )
