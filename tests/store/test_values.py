from __future__ import annotations

from typing import Any

import pytest

from featmatch.store.values import MOST, MOST_SIDE, digest, from_sql, number, text, to_sql


def test_numbers_within_bounds_are_themselves() -> None:
    assert [number(value, 1, 3) for value in (1, 2, 3)] == [1, 2, 3]
    assert (number(0), number(MOST)) == (0, MOST)


@pytest.mark.parametrize("value", [0, 4, 2.0, True, "2", None, b"2"])
def test_what_is_no_number_within_bounds_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="no number from 1 to 3"):
        number(value, 1, 3)


@pytest.mark.parametrize("value", [-1, MOST + 1])
def test_numbers_are_from_0_to_what_sqlite_holds(value: int) -> None:
    with pytest.raises(ValueError, match="no number"):
        number(value)


def test_text_may_be_missing() -> None:
    assert (text("a"), text(""), text(None)) == ("a", "", None)
    for value in (1, b"a"):
        with pytest.raises(ValueError, match="no text"):
            text(value)


def test_a_digest_is_lower_case() -> None:
    assert digest("AB" * 32) == "ab" * 32
    for value in ("ab" * 31, "ab" * 33, b"ab" * 32, None):
        with pytest.raises(ValueError, match="no SHA-256"):
            digest(value)


@pytest.mark.parametrize(("name", "stored"), [("a.jpg", "a.jpg"), ("日本", "日本"), ("\udce9.jpg", b"\xe9.jpg")])
def test_names_are_text_or_the_bytes_that_are_none(name: str, stored: str | bytes) -> None:
    assert to_sql(name) == stored
    assert from_sql(stored) == name


@pytest.mark.parametrize("value", [7, None, "a\0b", b"\xe9\0", b"as.text", b""])
def test_what_to_sql_never_stores_is_no_name(value: Any) -> None:
    with pytest.raises(ValueError, match="no name of a file"):
        from_sql(value)


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(ValueError, match=r"^'x{79} is no text from|^b'x{78} is no text$"):
        text(b"x" * 1000)


def test_bounds_are_beyond_any_picture_and_within_what_sqlite_keeps() -> None:
    assert number(1 << 28, 1, MOST_SIDE) == 1 << 28
    with pytest.raises(ValueError, match="no number"):
        number((1 << 28) + 1, 1, MOST_SIDE)
    assert number(1 << 62) == 1 << 62
    with pytest.raises(ValueError, match="no number"):
        number((1 << 62) + 1)
