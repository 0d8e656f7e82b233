"""Pictures in tables: Parquet and Arrow files, as Hugging Face's ``datasets`` keeps them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from featmatch.errors import ImageError, MissingFeatureError
from featmatch.images.decoding import DecodingOptions, decode_apart
from featmatch.images.folders import image_files

_SUFFIXES = (".parquet", ".arrow")
_NAMES = frozenset(("image", "images", "img", "jpg", "jpeg", "png", "webp"))  # of columns of plain bytes


def table_files(path: str) -> list[str]:
    """The tables that a path means: itself, or, of a folder that has tables and no image files, those below it."""
    if path.lower().endswith(_SUFFIXES) and os.path.isfile(path):
        return [path]
    if not os.path.isdir(path) or next(image_files([path]), path) != path:
        return []
    return sorted(str(one) for suffix in _SUFFIXES for one in Path(path).rglob(f"*{suffix}") if one.is_file())


def pictures_in_table(path: str, decoding: DecodingOptions) -> Iterator[tuple[str, bytes | ImageError]]:
    """The pictures of a table, row by row, as FILE#row=N, from 0 on; ``datasets`` counts so, too.

    A picture is what a column of structs has as "bytes", or a column of bytes with a name such as "image". Of several
    columns each has its name: FILE#row=N,COLUMN.

    Args:
        path: of a Parquet or Arrow file.
        decoding: what reading a part of its rows may cost; another process does that.

    Raises:
        MissingFeatureError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingFeatureError(f"{path} needs more packages: pip install 'featmatch[datasets]'") from error
    part, parts, row = 0, 1, 0
    while part < parts:
        try:
            rows, parts = decode_apart(_read_part, path, part, options=decoding)
        except ImageError as error:
            yield path, error
            return
        for number, cells in enumerate(rows, row):
            for column, content in cells.items():
                name = f"{path}#row={number}" + (f",{column}" if len(cells) > 1 else "")
                yield name, content or ImageError("not_found", "there is no picture in this row")
        part, row = part + 1, row + len(rows)


def _read_part(path: str, part: int, decoding: DecodingOptions) -> tuple[list[dict[str, bytes | None]], int]:
    """The rows of a part of a table, by their picture columns; and how many parts there are."""
    del decoding
    try:
        table, parts = _parquet_part(path, part) if path.lower().endswith(".parquet") else _arrow_part(path, part)
        columns = [field.name for field in table.schema if _holds_pictures(field)]
        cells = ([_bytes_of(cell.as_py()) for cell in table.column(column)] for column in columns)
        return [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)], parts if columns else 0
    except Exception as error:  # pyarrow has errors of many kinds
        raise ImageError("decode_failed", f"no table, or damaged: {type(error).__name__}: {error}") from error


def _parquet_part(path: str, part: int) -> tuple[Any, int]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        columns = [field.name for field in file.schema_arrow if _holds_pictures(field)]
        if not file.num_row_groups:
            return file.schema_arrow.empty_table(), 0
        return file.read_row_group(part, columns=columns), file.num_row_groups


def _arrow_part(path: str, part: int) -> tuple[Any, int]:
    """Of a stream, which ``datasets`` writes, or a file: of the former it is not known how many parts are to come."""
    import pyarrow as pa

    with pa.memory_map(path) as source:
        if source.read(6) == b"ARROW1":
            file = pa.ipc.open_file(source)
            return file.get_batch(
                part
            ) if file.num_record_batches else file.schema.empty_table(), file.num_record_batches
        source.seek(0)
        stream = pa.ipc.open_stream(source)
        batch = next(itertools.islice(stream, part, None), None)
        return (stream.schema.empty_table(), part) if batch is None else (batch, part + 2)


def _holds_pictures(field: Any) -> bool:
    from pyarrow import types

    kind = field.type
    if types.is_struct(kind):
        return any(one.name == "bytes" and _is_bytes(one.type) for one in kind)
    return field.name.lower() in _NAMES and _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _bytes_of(cell: Any) -> bytes | None:
    return cell.get("bytes") if isinstance(cell, dict) else cell
