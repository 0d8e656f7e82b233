"""Answers as text: a table for a person, JSON and CSV for a program. All of it goes through ``say``."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from featmatch.errors import FeatmatchError
from featmatch.names import is_unicode, plain, printable, quoted
from featmatch.system.ending import BROKEN_PIPE, Ended

if TYPE_CHECKING:
    from featmatch.proof.pair import Verification
    from featmatch.search.explanation import Explanation
    from featmatch.search.matches import Matches

_QUERY_COLUMNS = (
    "query", "status", "id", "name", "probability", "score", "inliers", "agreement", "kind", "rotation_deg", "scale",
    "mirrored", "negative", "homography", "query_region", "reference_region", "query_overlap", "reference_overlap",
    "verdict", "damaged", "query_damaged",
)  # fmt: skip
# Spreadsheets take a cell that begins so for a formula (OWASP, "CSV Injection"); the apostrophe is among them so that
# one can always be taken away again.
_FORMULA = tuple("=+-@'\uff1d\uff0b\uff0d\uff20")


def say(line: str) -> None:
    """Print a line of results.

    Raises:
        Ended: nobody reads them any more.
        FeatmatchError: they cannot be written.
    """
    with _written():
        click.echo(plain(line))


def say_bytes(content: bytes) -> None:
    """Print bytes as they are; raises as ``say``."""
    with _written():
        click.echo(content, nl=False)


@contextlib.contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise Ended(BROKEN_PIPE) from error
    except OSError as error:
        raise FeatmatchError(f"cannot write to standard output: {error.strerror}") from error


def print_object(values: Mapping[str, Any]) -> None:
    """One JSON object on a line of its own; ASCII, so that any name survives any terminal."""
    say(json.dumps(_with_quoted(values)))


def _with_quoted(value: Any) -> Any:
    """The same, where names that are no UTF-8, which not every reader of JSON keeps, stand in quotes beside."""
    if isinstance(value, Mapping):
        found = {}
        for key, inner in value.items():
            found[key] = _with_quoted(inner)
            texts = inner if isinstance(inner, list) else [inner]
            if any(isinstance(text, str) and not is_unicode(text) for text in texts):
                said = [quoted(text) if isinstance(text, str) else text for text in texts]
                found[f"{key}_quoted"] = said if isinstance(inner, list) else said[0]
        return found
    return [_with_quoted(inner) for inner in value] if isinstance(value, list) else value


class CsvPrinter:
    """Rows of CSV below a header. Texts are as in tables, and none of them is a formula to a spreadsheet."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._line = io.StringIO()
        self._writer = csv.DictWriter(self._line, columns, lineterminator="")
        self._writer.writeheader()
        self._end_line()

    def print_row(self, row: Mapping[str, Any]) -> None:
        """Print a row; columns that it lacks are empty."""
        self._writer.writerow({column: _cell(value) for column, value in row.items()})
        self._end_line()

    def _end_line(self) -> None:
        say(self._line.getvalue())
        self._line.seek(0)
        self._line.truncate()


def _cell(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        return json.dumps(value)
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


class QueryCsv(CsvPrinter):
    """A row for each match of a query; a query without any has one row with its status."""

    def __init__(self) -> None:
        super().__init__(_QUERY_COLUMNS)

    def __call__(self, query: str, matches: Matches) -> None:
        """Print the rows of one query."""
        of_query = {"query": query, "status": matches.status, "query_damaged": matches.damaged}
        for match in matches:
            row = match.to_dict()
            self.print_row({**of_query, **row.pop("relation"), **row})
        if not matches:
            self.print_row(of_query)


def print_json(query: str, matches: Matches) -> None:
    """The JSON line of one query."""
    print_object({"query": query, **matches.to_dict()})


def print_table(query: str, matches: Matches) -> None:
    """A heading for one query, and a line for each match."""
    title = _titled(query, matches.damaged)
    if matches.status != "ok":
        say(f"{title}: {matches.status}")
        return
    if not matches:
        say(f"{title}: nothing found")
        return
    say(f"{title}:")
    say(f"  {'probability':>11}  {'inliers':>7}  {'of query':>8}  {'of image':>8}  name  (relation)")
    for match in matches:
        said = f"; {match.verdict}" if match.verdict else ""
        say(
            f"  {match.probability:>11.4f}  {match.inliers:>7}  {match.query_overlap:>8.0%}  "
            f"{match.reference_overlap:>8.0%}  {_titled(match.name, match.damaged)}  ({match.relation}{said})"
        )


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
        pixels = agreement.match.proof.evidence.agreement
        compared = "pixels not compared" if pixels is None else f"pixels agree to {pixels:.2f}"
        lines["probability"] = f"{agreement.match.probability:.4f} ({agreement.match.relation}; {compared})"
    say(f"{printable(query)} / {printable(explanation.name)}:")
    for title, line in lines.items():
        say(f"  {title:<12} {line}")
    say(explanation.verdict)
    if not explanation.proven:
        say(f"would let it pass: {', or '.join(explanation.options) or 'no option'}")


def _titled(name: str, damaged: bool) -> str:
    return printable(name) + (" (damaged)" if damaged else "")
