"""The files that come with featmatch: vocabularies, and the fits that make probabilities."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from featmatch.errors import MissingFeatureError

_VOCABULARIES = "featmatch_vocabularies"  # the package that data/pyproject.toml makes, of what is asked for less often
_ALWAYS_THERE = "probability.json"  # tells the folder of featmatch from any other that is called data


def shipped_file(name: str) -> Path:
    """Where a file of ``data`` is, or would be, if there is none of this name.

    The folder belongs to the very code that runs, whatever else is installed: in an installation it is a part of the
    package (``featmatch.data``), in a checkout it lies beside the package. What an installation does without, for its
    size, may be installed apart.

    Args:
        name: of the file.

    Raises:
        MissingFeatureError: this code has come without its ``data``.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package / "data", package.parent / "data")
    for folder in places:
        if (folder / _ALWAYS_THERE).is_file():
            return folder / name if (folder / name).is_file() else _installed_apart(name) or folder / name
    raise MissingFeatureError(
        f"featmatch is not whole: its vocabularies are neither in {places[0]} nor in {places[1]}; install it again"
    )


def _installed_apart(name: str) -> Path | None:
    spec = find_spec(_VOCABULARIES)
    file = None if spec is None or spec.origin is None else Path(spec.origin).parent / name
    return file if file is not None and file.is_file() else None
