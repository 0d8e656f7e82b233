"""Options of a request: of a query string, of the fields of a form, or of JSON. None that is unknown is passed over."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from featmatch.names import is_unicode
from featmatch.service.problems import Problem

MOST_TEXT = 10_000  # characters of a text, usually
MOST_BODY = sys.maxsize  # of a text that may be as long as the body
_MOST_FIELDS = 64
_FLAGS = {"true": True, "1": True, "false": False, "0": False}

Value = TypeVar("Value")


class Parameters:
    """The values of a request by name. Each is taken once; ``end`` refuses those that nobody took."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    @classmethod
    def of_query(cls, query: bytes) -> Parameters:
        """Those of a query string; names of files may be of any bytes.

        Raises:
            Problem: it cannot be understood, or names something twice.
        """
        try:
            pairs = parse_qsl(
                query.decode("latin-1"), keep_blank_values=True, errors="surrogateescape", max_num_fields=_MOST_FIELDS
            )
        except ValueError as error:
            raise Problem("bad_request", "the query string cannot be understood") from error
        return cls.of_pairs(pairs)

    @classmethod
    def of_pairs(cls, pairs: Iterable[tuple[str, str]]) -> Parameters:
        """Those of names and texts.

        Raises:
            Problem: something is named twice.
        """
        values: dict[str, str] = {}
        for name, value in pairs:
            if name in values:
                raise Problem("invalid_value", f"{name} is given twice")
            values[name] = value
        return cls(values)

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def take(self, name: str) -> Any:
        """A value as it is; None where there is none."""
        return self._values.pop(name, None)

    def text(self, name: str, most: int = MOST_TEXT) -> str | None:
        """A text of so many characters at most."""
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise Problem("invalid_value", f"{name} is a text")
        if value is not None and len(value) > most:
            raise Problem("invalid_value", f"{name} has {most} characters at most")
        return value

    def remark(self) -> str | None:
        """The ``text`` that is to be kept with images."""
        value = self.text("text")
        if value is not None and not is_unicode(value):
            raise Problem("invalid_value", "text is Unicode text")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false; as text also 1 or 0."""
        value = self.take(name)
        if isinstance(value, str):
            value = _FLAGS.get(value.lower())
            if value is None:
                raise Problem("invalid_value", f"{name} is true or false")
        if value is None:
            return default
        if not isinstance(value, bool):
            raise Problem("invalid_value", f"{name} is true or false")
        return value

    def whole(self, name: str, default: Value, least: int, most: int) -> int | Value:
        """A whole number within bounds."""
        value = self._decoded(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Problem("invalid_value", f"{name} is a whole number from {least} to {most}")
        return value

    def number(self, name: str, default: Value, least: float, most: float) -> float | Value:
        """A number within bounds."""
        value = self._decoded(name)
        if value is None:
            return default
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
            raise Problem("invalid_value", f"{name} is a number from {least:g} to {most:g}")
        return float(value)

    def choice(self, name: str, default: Value, choices: Iterable[Any]) -> Any | Value:
        """One of several values."""
        possible = list(choices)
        value = self._decoded(name) if all(isinstance(one, int) for one in possible) else self.take(name)
        if value is None:
            return default
        if value not in possible or isinstance(value, bool):
            raise Problem("invalid_value", f"{name} is one of {', '.join(map(str, possible))}")
        return value

    def listed(self, name: str) -> list[Any] | None:
        """A list; as text in JSON, or numbers between commas."""
        value = self.take(name)
        if isinstance(value, str):
            value = _json(name, value if value.startswith("[") else f"[{value}]")
        if value is not None and not isinstance(value, list):
            raise Problem("invalid_value", f"{name} is a list")
        return value

    def end(self) -> None:
        """Refuse what nobody took: a mistyped option is never passed over.

        Raises:
            Problem: there is such.
        """
        if self._values:
            raise Problem("unknown_field", f"unknown: {', '.join(sorted(self._values))[:200]}")

    def _decoded(self, name: str) -> Any:
        value = self.take(name)
        return _json(name, value) if isinstance(value, str) else value


def parsed_json(body: bytes) -> Any:
    """What a JSON body says.

    Raises:
        Problem: it is no JSON.
    """
    try:
        return json.loads(body, parse_constant=_refuse_constant, object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        raise Problem("bad_request", "the body is no JSON") from error


def parsed_object(body: bytes) -> dict[str, Any]:
    """What a JSON object says.

    Raises:
        Problem: it is no JSON, or no object.
    """
    told = parsed_json(body)
    if not isinstance(told, dict):
        raise Problem("bad_request", "the body is no JSON object")
    return told


def _json(name: str, text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Problem("invalid_value", f"{name} cannot be understood") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise Problem("invalid_value", f"{name} is a finite number")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Problem("invalid_value", "a member of a JSON object is given twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
