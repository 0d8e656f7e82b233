"""Values of known types -> bytes and back, to ask other machines. Whatever the bytes are, reading them runs no code.

The types are dataclasses, named tuples, collections and arrays, as their annotations have them. The bytes hold a tree
in JSON, the arrays behind it as they lie in memory, and a checksum; names and types are not written but known to
whoever reads.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import struct
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, Protocol, Union, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"featmatch message 3\n"
_HEAD = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")
_DIGEST_BYTES = 16
_MOST_AXES = 4


def to_bytes(value: object, kind: Any, *, records: np.dtype[Any]) -> bytes:
    """A value as bytes.

    Args:
        value: of that type.
        kind: the type, as an annotation.
        records: the type of structured arrays (``np.void``).
    """
    arrays: list[NDArray[Any]] = []
    tree = _form_of(kind).write(value, arrays)
    shapes = [list(array.shape) for array in arrays]
    head = json.dumps([tree, shapes], separators=(",", ":")).encode("ascii")
    body = b"".join([_MAGIC, _HEAD.pack(len(head)), head, *(_as_written(array, records) for array in arrays)])
    return body + hashlib.sha256(body).digest()[:_DIGEST_BYTES]


def from_bytes(content: bytes, kind: Any, *, records: np.dtype[Any]) -> Any:
    """The value that ``to_bytes`` made bytes of; arguments are those of it.

    Raises:
        ValueError: they were made of none, or are damaged; or the type refuses the value.
    """
    body, checksum = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if not body.startswith(_MAGIC):
        raise ValueError("no message, or one of another version")
    if hashlib.sha256(body).digest()[:_DIGEST_BYTES] != checksum:
        raise ValueError("a message is not as it was sent")
    begin = len(_MAGIC) + _HEAD.size
    try:
        (length,) = _HEAD.unpack(body[len(_MAGIC) : begin])
        tree, shapes = json.loads(body[begin : begin + length])
        arrays = _Arrays(memoryview(body)[begin + length :], shapes, records)
        value = _form_of(kind).read(tree, arrays)
    except (TypeError, KeyError, IndexError, RecursionError, OverflowError, struct.error) as error:
        raise ValueError(f"a message means nothing: {error!r:.200}") from error
    arrays.end()
    return value


def joined(messages: Sequence[bytes]) -> bytes:
    """Several messages as one, which is taken apart without reading them.

    >>> parted(joined([b"one", b"", b"three"]))
    [b'one', b'', b'three']
    """
    return b"".join(part for message in messages for part in (_LENGTH.pack(len(message)), message))


def parted(content: bytes) -> list[bytes]:
    """The messages that were joined.

    Raises:
        ValueError: a part is not all there.
    """
    messages, begin = [], 0
    while begin < len(content):
        start = begin + _LENGTH.size
        if start > len(content):
            raise ValueError("a message is cut short")
        (length,) = _LENGTH.unpack(content[begin:start])
        begin = start + length
        if begin > len(content):
            raise ValueError("a message is cut short")
        messages.append(content[start:begin])
    return messages


def _as_written(array: NDArray[Any], records: np.dtype[Any]) -> bytes:
    kind = records if array.dtype.names else array.dtype.newbyteorder("<")
    return np.ascontiguousarray(array, kind).tobytes()


class _Arrays:
    """The arrays of a message, which are read in order."""

    def __init__(self, content: memoryview, shapes: Any, records: np.dtype[Any]) -> None:
        self._content = content
        self._shapes = shapes
        self._records = records
        self._taken = self._begin = 0

    def next(self, number: object, kind: np.dtype[Any] | None) -> NDArray[Any]:
        """The next one; ``kind`` None: it is structured."""
        shape = self._shapes[self._taken]
        if number != self._taken or not all(type(side) is int and side >= 0 for side in shape):
            raise ValueError("the arrays of a message are out of order")
        kind = self._records if kind is None else kind.newbyteorder("<")
        end = self._begin + math.prod(shape) * kind.itemsize
        if len(shape) > _MOST_AXES or end > len(self._content):
            raise ValueError("an array of a message is larger than the message")
        array = np.frombuffer(self._content[self._begin : end], kind).reshape(shape)
        self._taken, self._begin = self._taken + 1, end
        return array.copy()  # aligned

    def end(self) -> None:
        """See that nothing is left."""
        if self._taken != len(self._shapes) or self._begin != len(self._content):
            raise ValueError("a message has more in it than it should")


class _Form(Protocol):
    """How values of one type are written."""

    def write(self, value: Any, arrays: list[NDArray[Any]]) -> Any:
        """A value as a tree; its arrays are appended."""

    def read(self, tree: Any, arrays: _Arrays) -> Any:
        """The value of a tree."""


@dataclasses.dataclass(frozen=True)
class _Plain:
    kind: type

    def write(self, value: Any, _: list[NDArray[Any]]) -> Any:
        return value if value is None else self.kind(value)

    def read(self, tree: Any, _: _Arrays) -> Any:
        if type(tree) is not self.kind:
            raise ValueError(f"a message has {tree!r:.40} in place of a {self.kind.__name__}")
        return tree


@dataclasses.dataclass(frozen=True)
class _Word:
    words: tuple[str, ...]

    def write(self, value: Any, _: list[NDArray[Any]]) -> Any:
        return value

    def read(self, tree: Any, _: _Arrays) -> Any:
        if tree not in self.words:
            raise ValueError(f"a message has {tree!r:.40}, which is none of {self.words}")
        return tree


@dataclasses.dataclass(frozen=True)
class _OneOf:
    kinds: tuple[type, ...]
    forms: tuple[_Form, ...]

    def write(self, value: Any, arrays: list[NDArray[Any]]) -> Any:
        number = next(number for number, kind in enumerate(self.kinds) if isinstance(value, get_origin(kind) or kind))
        return [number, self.forms[number].write(value, arrays)]

    def read(self, tree: Any, arrays: _Arrays) -> Any:
        number, inner = tree
        return self.forms[number].read(inner, arrays)


@dataclasses.dataclass(frozen=True)
class _Array:
    kind: np.dtype[Any] | None

    def write(self, value: Any, arrays: list[NDArray[Any]]) -> Any:
        arrays.append(np.asarray(value, self.kind))
        return len(arrays) - 1

    def read(self, tree: Any, arrays: _Arrays) -> Any:
        return arrays.next(tree, self.kind)


@dataclasses.dataclass(frozen=True)
class _Scalar:
    """Of one number or one structured value of NumPy."""

    kind: np.dtype[Any] | None

    def write(self, value: Any, arrays: list[NDArray[Any]]) -> Any:
        return _Array(self.kind).write(value, arrays)

    def read(self, tree: Any, arrays: _Arrays) -> Any:
        array = arrays.next(tree, self.kind)
        if array.shape:
            raise ValueError("a message has an array in place of one number")
        return array[()]


@dataclasses.dataclass(frozen=True)
class _Many:
    make: Any
    form: _Form

    def write(self, value: Any, arrays: list[NDArray[Any]]) -> Any:
        return [self.form.write(one, arrays) for one in (sorted(value) if self.make is frozenset else value)]

    def read(self, tree: Any, arrays: _Arrays) -> Any:
        return self.make(_read_each(self.form, tree, arrays))


@dataclasses.dataclass(frozen=True)
class _Map:
    """All keys, then all values."""

    keys: _Form
    values: _Form

    def write(self, value: Any, arrays: list[NDArray[Any]]) -> Any:
        keys = [self.keys.write(key, arrays) for key in value]
        return [keys, [self.values.write(one, arrays) for one in value.values()]]

    def read(self, tree: Any, arrays: _Arrays) -> Any:
        keys, values = tree
        own = _read_each(self.keys, keys, arrays)
        return dict(zip(own, _read_each(self.values, values, arrays), strict=True))


def _read_each(form: _Form, trees: Any, arrays: _Arrays) -> list[Any]:
    """The values of several trees of one type."""
    if isinstance(form, _Plain) and type(trees) is list and set(map(type, trees)) <= {form.kind}:
        return trees  # hundreds, mostly
    return [form.read(one, arrays) for one in trees]


@dataclasses.dataclass(frozen=True)
class _Fields:
    """Of a tuple, dataclass or named tuple."""

    make: Any
    forms: tuple[_Form, ...]
    names: tuple[str, ...] = ()  # of those that have names

    def write(self, value: Any, arrays: list[NDArray[Any]]) -> Any:
        values = [getattr(value, name) for name in self.names] if self.names else value
        return [form.write(one, arrays) for form, one in zip(self.forms, values, strict=True)]

    def read(self, tree: Any, arrays: _Arrays) -> Any:
        values = [form.read(one, arrays) for form, one in zip(self.forms, tree, strict=True)]
        return self.make(**dict(zip(self.names, values, strict=True))) if self.names else self.make(values)


@cache
def _form_of(kind: Any) -> _Form:
    kind = _spelled_out(kind)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        parts = tuple(map(_spelled_out, parts))
        return _OneOf(parts, tuple(map(_form_of, parts)))
    return _Plain(kind) if kind in (bool, int, float, str, types.NoneType) else _compound(kind, origin, parts)


def _spelled_out(kind: Any) -> Any:
    """What an alias stands for that is a type of its own, as ``NDArray`` is from NumPy 2.5 on."""
    alias = get_origin(kind) or kind
    return alias.__value__[get_args(kind)] if hasattr(alias, "__value__") else kind


def _compound(kind: Any, origin: Any, parts: tuple[Any, ...]) -> _Form:
    form: _Form
    if origin is np.ndarray:
        (scalar,) = get_args(parts[1])
        form = _Array(None if scalar is np.void else np.dtype(scalar))
    elif isinstance(kind, type) and issubclass(kind, np.generic):
        form = _Scalar(None if kind is np.void else np.dtype(kind))
    elif origin is Literal:
        form = _Word(parts)
    elif origin is tuple and parts[-1] is not Ellipsis:
        form = _Fields(tuple, tuple(map(_form_of, parts)))
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        form = _Map(*map(_form_of, parts))
    elif isinstance(origin, type) and issubclass(origin, (Sequence, frozenset)):
        form = _Many(origin if origin in (tuple, frozenset) else list, _form_of(parts[0]))
    else:
        # Modules that do without NumPy at first name it for type checkers only.
        hints = typing.get_type_hints(kind, localns={"np": np, "NDArray": NDArray})
        fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
        names = tuple(field.name for field in fields) or kind._fields
        form = _Fields(kind, tuple(_form_of(hints[name]) for name in names), names)
    return form
