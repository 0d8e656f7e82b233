"""Values as bytes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from featmatch.system.byte_forms import from_bytes, joined, parted, to_bytes

RECORD = np.dtype([("a", "<i2"), ("b", "u1", (3,))])


class Inner(NamedTuple):
    rows: NDArray[np.float32]
    records: NDArray[np.void]


@dataclass(frozen=True, eq=False)
class Outer:
    number: int
    share: float
    name: str
    mode: Literal["one", "other"]
    inner: Inner | None
    more: Sequence[Inner]
    pair: tuple[int, str]
    few: tuple[int, ...]
    some: frozenset[str]
    known: Mapping[int, tuple[bool, list[str]]]


def outer(**changes: Any) -> Outer:
    records = np.zeros(2, RECORD)
    records["b"] = 7
    inner = Inner(np.arange(6, dtype=np.float32).reshape(3, 2), records)
    values: dict[str, Any] = {
        "number": 1 << 60, "share": 0.1, "name": "caf\udce9", "mode": "other", "inner": inner, "more": [inner, inner],
        "pair": (1, "x"), "few": (3, 4), "some": frozenset("ba"), "known": {5: (True, ["y"])},
    }  # fmt: skip
    return Outer(**(values | changes))


class Scalars(NamedTuple):
    number: np.uint64
    record: np.void


def written(value: object, kind: Any = Outer) -> bytes:
    return to_bytes(value, kind, records=RECORD)


def read(content: bytes, kind: Any = Outer) -> Any:
    return from_bytes(content, kind, records=RECORD)


def resealed(content: bytes) -> bytes:
    """Other bytes with a checksum that fits."""
    return content[:-16] + hashlib.sha256(content[:-16]).digest()[:16]


def test_what_is_written_is_read() -> None:
    value, again = outer(), read(written(outer()))
    for name in ("number", "share", "name", "mode", "pair", "few", "some", "known"):
        assert getattr(again, name) == getattr(value, name)
        assert type(getattr(again, name)) is type(getattr(value, name))
    for one, other in zip(again.more, value.more, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        assert (one.rows.dtype, one.records.dtype) == (np.dtype(np.float32), RECORD)
        assert one.records.tobytes() == other.records.tobytes()
    assert written(again) == written(value)  # the other one, too
    assert read(written(outer(inner=None))).inner is None
    assert read(written(np.float64(0.5), float), float) == 0.5
    assert np.isposinf(read(written(float("inf"), float), float))


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_any_changed_byte_is_noticed(place: int) -> None:
    content = bytearray(written(outer()))
    content[place % len(content)] ^= 1 << (place % 8)
    with pytest.raises(ValueError, match="message"):
        read(bytes(content))


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_whatever_the_bytes_are_they_are_a_value_or_refused(place: int, byte: int) -> None:
    content = bytearray(written(outer()))
    content[20 + place % (len(content) - 20)] = byte
    with contextlib.suppress(ValueError):
        assert isinstance(read(resealed(bytes(content))), Outer)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(_JSON, _JSON)
def test_whatever_the_tree_is_it_is_a_value_or_refused(tree: Any, shapes: Any) -> None:
    head = json.dumps([tree, shapes]).encode()
    content = b"featmatch message 3\n" + struct.pack("<I", len(head)) + head + bytes(60)
    with contextlib.suppress(ValueError):
        assert isinstance(read(resealed(content + bytes(16))), Outer)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mode": "third"}, "none of"), ({"pair": (1, "x", 2)}, "zip"), ({"known": {5: (True, ["y"])}}, None),
    ],
)  # fmt: skip
def test_what_is_of_no_such_type_is_refused(change: dict[str, Any], said: str | None) -> None:
    if said is None:
        assert read(written(outer(**change))).known == change["known"]
        return
    with pytest.raises(ValueError, match=said):
        read(written(outer(**change)))


def test_a_message_of_another_kind_is_refused() -> None:
    for content in (b"", b"nothing", written(5, int), written(outer())[:-20]):
        with pytest.raises(ValueError, match="message"):
            read(content)
    with pytest.raises(ValueError, match="message"):
        read(written("x", str), int)


def test_single_numbers_and_records_are_read_as_they_were_and_an_array_is_none() -> None:
    one = Scalars(np.uint64((1 << 64) - 1), np.zeros(1, RECORD)[0])
    back = read(written(one, Scalars), Scalars)
    assert (back.number, back.number.dtype, back.record, back.record.dtype) == (
        one.number, np.uint64, one.record, RECORD,
    )  # fmt: skip
    with pytest.raises(ValueError, match="array in place of one number"):
        read(written(Scalars(np.zeros(2, np.uint64), one.record), Scalars), Scalars)  # type: ignore[arg-type]


def test_an_alias_stands_for_what_it_means() -> None:
    """NumPy's ``NDArray`` is such an alias from 2.5 on."""
    alias: Any = pytest.importorskip("typing_extensions").TypeAliasType
    scalar = TypeVar("scalar", bound=np.generic)
    column: Any = alias("column", np.ndarray[Any, np.dtype[scalar]], type_params=(scalar,))[np.float32]  # type: ignore[valid-type]
    optional: Any = column | None
    numbers = np.arange(3, dtype=np.float32)
    for kind in (column, optional):
        assert np.array_equal(read(written(numbers, kind), kind), numbers)
    assert read(written(None, optional), optional) is None


def test_messages_that_were_joined_are_taken_apart_and_nothing_else() -> None:
    content = joined([b"one", b"", b"three"])
    assert parted(content) == [b"one", b"", b"three"]
    assert parted(b"") == []
    for end in set(range(1, len(content))) - {11, 19}:  # in the middle of a part
        with pytest.raises(ValueError, match="cut short"):
            parted(content[:end])
