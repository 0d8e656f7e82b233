"""How answers are shown in notebooks: tables as HTML, drawings as PNG; and tables for pandas."""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from featmatch.errors import ImageError, MissingFeatureError
from featmatch.names import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def table_of(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""A table in HTML; what is in it is text, whatever it says.

    >>> table_of("a<b", ["name"], [["two\nlines"]])
    '<table><caption>a&lt;b</caption><tr><th>name</th></tr><tr><td>&quot;two\\012lines&quot;</td></tr></table>'
    """

    def line(cells: Sequence[object], tag: str) -> str:
        shown = (f"<{tag}>{html.escape(printable(str(cell)))}</{tag}>" for cell in cells)
        return f"<tr>{''.join(shown)}</tr>"

    head = f"<table><caption>{html.escape(printable(title))}</caption>{line(columns, 'th')}"
    return head + "".join(line(row, "td") for row in rows) + "</table>"


def png_of(draw: Callable[[], NDArray[np.uint8]]) -> bytes | None:
    """What a function draws, (H, W, 3) uint8 RGB, as PNG; None where an image cannot be read."""
    from PIL import Image

    content = io.BytesIO()
    try:
        Image.fromarray(draw()).save(content, "PNG")
    except ImageError:
        return None
    return content.getvalue()


def frame_of(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> Any:
    """A pandas ``DataFrame`` of rows; it has the columns even where there is no row.

    Raises:
        MissingFeatureError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise MissingFeatureError("data frames need pandas: pip install 'featmatch[pandas]'") from error
    return pd.DataFrame.from_records(list(rows), columns=list(columns))
