"""What the results of the commands look like: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from featmatch.cli.printing import CsvPrinter, print_object, say, say_bytes
from featmatch.names import printable

if TYPE_CHECKING:
    from featmatch.grouping.groups import Group, Groups
    from featmatch.grouping.two_views import ProvenPair
    from featmatch.proof.verified import Verification
    from featmatch.search.explanation import Explanation
    from featmatch.search.matches import Matches
    from featmatch.search.similar import SimilarImage

_QUERY_COLUMNS = (
    "query", "status", "id", "name", "probability", "score", "inliers", "agreement", "kind", "rotation_deg", "scale",
    "mirrored", "negative", "homography", "query_region", "reference_region", "query_overlap", "reference_overlap",
    "verdict", "damaged", "query_damaged",
)  # fmt: skip

_MOVES = """\
#!/bin/sh
# Moves the files that can go into a folder: the first argument, or else "marked". Overwrites nothing.
set -eu
to=${1:-marked}
"""


def print_matches_json(query: str, matches: Matches) -> None:
    """Print one line for a query."""
    print_object({"query": query, **matches.to_dict()})


def print_matches_table(query: str, matches: Matches, *, related: bool = False) -> None:
    """Print a heading for a query, and a line for each match; with ``related`` for what is no copy as well."""
    title = _titled(query, matches.damaged)
    if matches.missing:
        title += f" ({matches.status}: not all indexes answered)"
    elif matches.status != "ok":
        say(f"{title}: {matches.status}")
        return
    shown = [*matches, *(one for one in matches.related if related and one not in matches)]
    if not shown:
        say(f"{title}: nothing found")
        return
    say(f"{title}:")
    say(f"  {'probability':>11}  {'inliers':>7}  {'of query':>8}  {'of image':>8}  name  (relation)")
    for match in shown:
        verdict = f"; {match.verdict}" if match.verdict else ""
        where = "" if match.index is None else f"{printable(match.index)}: "
        say(
            f"  {match.probability:>11.4f}  {match.inliers:>7}  {match.query_overlap:>8.0%}  "
            f"{match.reference_overlap:>8.0%}  {where}{_titled(match.name, match.damaged)}  ({match.relation}{verdict})"
        )
        if match.iiif is not None:
            say(f"    {printable(match.iiif['region'] or match.iiif['image'] or '')}")


def print_similar_table(query: str, by: str, found: Sequence[SimilarImage]) -> None:
    """Print a heading, and a line for each image, the nearest first."""
    if not found:
        say(f"{printable(query)}: the index is empty")
        return
    say(f"{printable(query)}, by {by}:")
    say(f"  {'distance':>8}  name")
    for one in found:
        say(f"  {one.distance:>8.4g}  {printable(one.name)}")


def query_columns(*, several: bool) -> tuple[str, ...]:
    """The columns of ``match_rows``; with ``several``, each row says which index the match is from."""
    return (*_QUERY_COLUMNS, "index") if several else _QUERY_COLUMNS


def match_rows(query: str, matches: Matches) -> Iterator[dict[str, Any]]:
    """A row for each match, with more than the columns; a query without a match has one row, with its status."""
    of_query = {"query": query, "status": matches.status, "query_damaged": matches.damaged}
    for match in matches:
        row = match.to_dict()
        yield {**of_query, **row.pop("relation"), **row}
    if not matches:
        yield of_query


class MatchesCsv:
    """Prints the rows of queries, after a header."""

    def __init__(self, *, several: bool = False) -> None:
        """With ``several``, each row says which index the match is from."""
        self._columns = query_columns(several=several)
        self._printer = CsvPrinter(self._columns)

    def __call__(self, query: str, matches: Matches) -> None:
        """Print the rows of one query."""
        for row in match_rows(query, matches):
            self._printer.print_row({column: row[column] for column in self._columns if column in row})


def print_verification(a: str, b: str, proof: Verification) -> None:
    """Print the answer of a verification in one line."""
    answer = "yes" if proof else "no"
    pair = " / ".join(map(_titled, (a, b), proof.damaged))
    say(f"{answer}: {pair}: {proof.reason} (probability {proof.probability:.4f})")


def print_explanation(query: str, explanation: Explanation) -> None:
    """Print a line for each stage that was reached, then the conclusion."""
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
        pixels = agreement.match.proof.evidence.agreement
        compared = "pixels not compared" if pixels is None else f"pixels agree to {pixels:.2f}"
        lines["probability"] = f"{agreement.match.probability:.4f} ({agreement.match.relation}; {compared})"
    say(f"{printable(query)} / {printable(explanation.name)}:")
    for title, line in lines.items():
        say(f"  {title:<12} {line}")
    say(explanation.verdict)
    if not explanation.proven:
        say(f"would let it pass: {', or '.join(explanation.options) or 'no option'}")


def print_groups_json(groups: Iterable[Group]) -> None:
    """Print one line for each group."""
    for number, group in enumerate(groups, 1):
        print_object({"group": number, **group.to_dict()})


def print_groups_table(groups: Iterable[Group]) -> None:
    """Print a heading for each group, and a line for each file."""
    for number, group in enumerate(groups, 1):
        say(f"group {number}, {len(group)} files:")
        say(f"  {'probability':>11}  {'inliers':>7}  {'size':>11}  {'bytes':>10}  name  (relation)")
        for member in group.members:
            size = f"{member.width}x{member.height}"
            for name in member.names:
                by = f", by: {group.original_by}" if name == group.original.names[0] and group.original_by else ""
                if group.kept is not None:
                    by += ", kept" if name == group.kept else ", can go" if name in group.marked else ""
                say(
                    f"  {member.probability:>11.4f}  {member.inliers:>7}  {size:>11}  {member.bytes:>10}  "
                    f"{printable(name)}  ({member.said_of(name)}{by})"
                )


def print_pairs_json(pairs: Iterable[ProvenPair]) -> None:
    """Print one line for each pair."""
    for pair in pairs:
        print_object(pair.to_dict())


def print_pairs_table(pairs: Iterable[ProvenPair]) -> None:
    """Print a line for each pair, below a heading."""
    say(f"{'probability':>11}  {'inliers':>7}  names")
    for pair in pairs:
        say(f"{pair.probability:>11.4f}  {pair.pair.inliers:>7}  {'  '.join(map(printable, pair.names))}")


def print_moves(paths: Iterable[str]) -> None:
    """Print a shell script that moves files, each below a folder under its own path, and overwrites none.

    Args:
        paths: absolute.
    """
    say_bytes(_MOVES.encode())
    for path in paths:
        source, target = (shlex.quote(one) for one in (path, path.lstrip("/")))
        folder = shlex.quote(os.path.dirname(path).lstrip("/") or ".")
        say_bytes(os.fsencode(f'mkdir -p -- "$to"/{folder}\nmv -n -- {source} "$to"/{target}\n'))


def group_columns(*, several: bool) -> tuple[str, ...]:
    """The columns of ``Groups.rows``; with ``several``, each row says which index its id is of."""
    from featmatch.grouping.groups import COLUMNS

    return (*COLUMNS, "index") if several else COLUMNS


def print_groups_csv(groups: Groups, *, several: bool = False) -> None:
    """Print a row for each file."""
    columns = group_columns(several=several)
    printer = CsvPrinter(columns)
    for row in groups.rows():
        printer.print_row({column: row.get(column) for column in columns} | {"marked": str(row["marked"]).lower()})


def _titled(name: str, damaged: bool) -> str:
    return printable(name) + (" (damaged)" if damaged else "")
