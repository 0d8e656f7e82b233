"""Printing of results on standard output: lines, JSON objects, rows of CSV. All text goes through ``say``."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from featmatch.errors import FeatmatchError
from featmatch.names import plain, printable, with_quoted
from featmatch.system.ending import BROKEN_PIPE, Ended

# Spreadsheets take a cell that begins with one of these for a formula (OWASP, "CSV Injection"). The apostrophe is one
# of them so that a reader can always remove a leading one.
_UNITS = ("kB", "MB", "GB", "TB")
_FORMULA = tuple("=+-@'\uff1d\uff0b\uff0d\uff20")


def say(line: str) -> None:
    """Print a line of results.

    Raises:
        Ended: the reader of the output has closed it.
        FeatmatchError: the output cannot be written.
    """
    with _output_errors():
        click.echo(plain(line))


def say_bytes(content: bytes) -> None:
    """Print bytes unchanged; raises what ``say`` raises."""
    with _output_errors():
        click.echo(content, nl=False)


@contextlib.contextmanager
def _output_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise Ended(BROKEN_PIPE) from error
    except OSError as error:
        raise FeatmatchError(f"cannot write to standard output: {error.strerror}") from error


def size_of(number: int) -> str:
    """A number of bytes, for people.

    >>> size_of(0), size_of(999), size_of(1_240_000_000)
    ('0 bytes', '999 bytes', '1.2 GB')
    """
    if number < 1000:
        return f"{number} bytes"
    power = min((len(str(number)) - 1) // 3, len(_UNITS))
    return f"{number / 1000**power:.{1 if number < 100 * 1000**power else 0}f} {_UNITS[power - 1]}"


def print_object(values: Mapping[str, Any]) -> None:
    """Print a JSON object on one line, in ASCII, so that a terminal of any encoding shows it."""
    say(json.dumps(with_quoted(values)))


class CsvPrinter:
    """Prints CSV: a header, then rows. Names are quoted as in tables, and no cell is a formula to a spreadsheet."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._line = io.StringIO()
        self._writer = csv.DictWriter(self._line, columns, lineterminator="")
        self._writer.writeheader()
        self._end_line()

    def print_row(self, row: Mapping[str, Any]) -> None:
        """Print a row; columns without a value are empty."""
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
