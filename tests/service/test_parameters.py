"""Options of requests."""

from __future__ import annotations

from typing import Any

import pytest

from featmatch.service.parameters import Parameters, parsed_json, parsed_object
from featmatch.service.problems import Problem


def code_of(function: Any, *arguments: Any) -> str:
    with pytest.raises(Problem) as refused:
        function(*arguments)
    return refused.value.code


def test_values_come_as_text_or_as_they_are() -> None:
    texts = Parameters.of_query(b"limit=3&all=true&x=0.5&region=1,2,3,4&list=%5B%22a%22%5D&name=caf%E9&size=160")
    typed = Parameters(
        {"limit": 3, "all": True, "x": 0.5, "region": [1, 2, 3, 4], "list": ["a"], "name": "caf\udce9", "size": 160}
    )
    for given in (texts, typed):
        assert "limit" in given
        assert given.whole("limit", 10, 1, 100) == 3
        assert given.flag("all") is True
        assert given.number("x", 0.0, 0.0, 1.0) == 0.5
        assert given.listed("region") == [1, 2, 3, 4]
        assert given.listed("list") == ["a"]
        assert given.text("name") == "caf\udce9"
        assert given.choice("size", 640, (160, 640)) == 160
        given.end()


def test_a_text_to_keep_is_unicode() -> None:
    assert [Parameters(given).remark() for given in ({"text": "日本"}, {})] == ["日本", None]
    for given in (Parameters(parsed_object(b'{"text": "a\\ud83d"}')), Parameters.of_query(b"text=caf%E9")):
        assert code_of(given.remark) == "invalid_value"


def test_values_at_the_bounds_and_empty_texts_are_values() -> None:
    for text, flag in (("true", True), ("1", True), ("false", False), ("0", False), ("FALSE", False)):
        assert Parameters({"v": text}).flag("v", not flag) is flag
    assert [Parameters({"v": value}).whole("v", 5, 1, 9) for value in (1, "9")] == [1, 9]
    assert [Parameters({"v": value}).number("v", 5.0, 0.0, 1.0) for value in (0, "1")] == [0.0, 1.0]
    assert Parameters.of_query(b"match=").text("match") == ""
    assert Parameters({"v": "160"}).choice("v", "a", ("160", "a")) == "160"
    assert Parameters({"v": "all"}).choice("v", 1, ("all", 1)) == "all"


def test_what_is_not_given_has_its_default() -> None:
    nothing = Parameters({"limit": None})
    assert "limit" not in nothing
    assert nothing.whole("limit", 10, 1, 100) == 10
    assert nothing.flag("all", True) is True
    assert nothing.number("x", 0.5, 0.0, 1.0) == 0.5
    assert (nothing.listed("region"), nothing.text("name")) == (None, None)
    assert nothing.choice("kind", "a", ("a", "b")) == "a"


@pytest.mark.parametrize(
    ("take", "values"),
    [
        (lambda given: given.whole("v", 1, 1, 9), (0, 10, 1.5, "x", "1.5", True, "true", [1], "NaN", "1e999")),
        (lambda given: given.number("v", 1.0, 0.0, 1.0), (-0.1, 1.1, "x", True, float("nan"), "Infinity", "[]")),
        (lambda given: given.flag("v"), (2, "yes", "", [True])),
        (lambda given: given.text("v"), (3, ["a"], True)),
        (lambda given: given.listed("v"), (3, "x", {"a": 1}, "[1")),
        (lambda given: given.choice("v", "a", ("a", "b")), ("c", 3)),
        (lambda given: given.choice("v", 1, (1, 2)), ("3", "x", True)),
    ],
)
def test_what_cannot_be_meant_is_refused(take: Any, values: tuple[Any, ...]) -> None:
    for value in values:
        assert code_of(take, Parameters({"v": value})) == "invalid_value", value


def test_what_nobody_takes_is_refused() -> None:
    given = Parameters({"limt": 3, "limit": 3})
    given.take("limit")
    assert code_of(given.end) == "unknown_field"
    assert code_of(Parameters.of_query, b"a=1&a=2") == "invalid_value"
    assert code_of(Parameters.of_query, b"&".join(b"a%d=1" % number for number in range(65))) == "bad_request"


def test_bodies_that_are_no_json() -> None:
    for body in (b"", b"{", b"\xff", b"NaN", b"[" * 100_000):
        assert code_of(parsed_json, body) == "bad_request"
    assert code_of(parsed_object, b"[1]") == "bad_request"
    assert parsed_object(b'{"a": 1}') == {"a": 1}


def test_what_is_said_twice_is_refused() -> None:
    with pytest.raises(Problem, match="given twice"):
        parsed_json(b'{"limit": 1, "limit": 2}')
