"""Results as a Parquet file: the columns of the CSV output, typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featmatch.errors import FeatmatchError, MissingFeatureError
from featmatch.names import is_unicode, quoted
from featmatch.system.files import replace_file

_TEXT = ("query", "status", "name", "kind", "verdict", "index", "original", "description", "original_by")
_WHOLE = ("id", "inliers", "group", "width", "height", "bytes")
_FLAGS = ("mirrored", "negative", "damaged", "query_damaged", "marked")
_POINTS = ("homography", "query_region", "reference_region")


class ParquetFile:
    """Rows that are written at the end, whole or not at all. Names that are not Unicode are quoted, as in CSV."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Prepare a file.

        Raises:
            MissingFeatureError: pyarrow is not installed.
        """
        try:
            import pyarrow as pa
        except ModuleNotFoundError as error:
            raise MissingFeatureError("Parquet needs pyarrow: pip install 'featmatch[datasets]'") from error
        kinds = {
            **dict.fromkeys(_TEXT, pa.string()), **dict.fromkeys(_WHOLE, pa.int64()),
            **dict.fromkeys(_FLAGS, pa.bool_()), **dict.fromkeys(_POINTS, pa.list_(pa.list_(pa.float64()))),
        }  # fmt: skip
        self._path = path
        self._schema = pa.schema([(column, kinds.get(column, pa.float64())) for column in columns])
        self._rows: list[dict[str, Any]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row; columns without a value are null, and what is no column is left out."""
        self._rows.append({name: _cell(row.get(name)) for name in self._schema.names})

    def write(self) -> None:
        """Write all rows.

        Raises:
            FeatmatchError: the file cannot be written.
        """
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.Table.from_pylist(self._rows, self._schema)
        try:
            with replace_file(self._path) as file:
                parquet.write_table(table, file)
        except OSError as error:
            raise FeatmatchError(f"cannot write {self._path}: {error.strerror or error}") from error


def _cell(value: Any) -> Any:
    return quoted(value) if isinstance(value, str) and not is_unicode(value) else value
