"""Checks of arguments before anything is done: a wrong one raises a ``UsageError`` that says what is wanted."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from featmatch.errors import UsageError


def checked_path(value: object, what: str) -> str:
    """A path as a string; ``what`` names the argument.

    Raises:
        UsageError: it is no path.

    >>> checked_path("a/b.jpg", "image")
    'a/b.jpg'
    """
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str):
        raise UsageError(f"{what} is a path, not {_kind(value)}")
    if "\0" in path:
        raise UsageError(f"{what} is a path, and has no NUL character in it")
    return path


def checked_paths(values: object, what: str) -> list[str]:
    """Several paths, as strings.

    Raises:
        UsageError: one of them is no path; or it is a single path, whose letters would be taken for paths.
    """
    if isinstance(values, (str, bytes, os.PathLike)) or not isinstance(values, Iterable):
        raise UsageError(f"{what} is a list of paths, not {_kind(values)}")
    return [checked_path(value, f"each of {what}") for value in values]


def check_number(value: object, what: str, least: int) -> None:
    """Refuse what is no whole number of ``least`` or more."""
    if not _is_a(Integral, value) or value < least:  # type: ignore[operator]  # it is a number
        raise UsageError(f"{what} is a whole number of {least} or more, not {_said(value)}")


def check_run(jobs: object, progress: object) -> None:
    """Refuse what is no number of processes, or no function (or None) to report progress to."""
    if not _is_a(Integral, jobs) or jobs == 0:
        raise UsageError(f"jobs is 1 or more; or -1: all cores, -2: all but one, and so on; not {_said(jobs)}")
    if progress is not None and not callable(progress):
        raise UsageError(f"progress is a function, not {_kind(progress)}")


def check_text(value: object, what: str) -> None:
    """Refuse what is neither Unicode text nor None."""
    check_kind(value, what, str)
    try:
        str(value).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} is Unicode text, which {value!a:.40} is not") from error


def check_seconds(value: object, what: str) -> None:
    """Refuse what is no number of seconds above 0."""
    if not _is_a(Real, value) or not value > 0:  # type: ignore[operator]  # it is a number
        raise UsageError(f"{what} is more than 0 seconds, not {_said(value)}")


def check_kind(value: object, what: str, *kinds: type, none: bool = True) -> None:
    """Refuse a value of another type than one of ``kinds``, or than None if ``none`` is true."""
    if not (isinstance(value, kinds) or (none and value is None)):
        raise UsageError(f"{what} is {' or '.join(kind.__name__ for kind in kinds)}, not {_kind(value)}")


def check_options(options: Any) -> None:
    """Refuse a dataclass of options that has a value of another type than its default."""
    for field in dataclasses.fields(options):
        value, default = getattr(options, field.name), field.default
        wanted = Integral if isinstance(default, int) else Real if isinstance(default, float) else type(default)
        if not _is_a(wanted, value) or (isinstance(value, tuple) and not all(_is_a(Real, part) for part in value)):
            raise UsageError(f"{field.name} of {type(options).__name__} is like {default!r}, not {_said(value)}")


def _is_a(kind: type, value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)  # True is a number to Python, but nobody means it


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _said(value: object) -> str:
    return repr(value) if isinstance(value, (str, int, float, type(None))) else _kind(value)
