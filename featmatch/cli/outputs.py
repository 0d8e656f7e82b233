"""Options that write files: none overwrites a picture that is read or indexed, or anything inside an index."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import featmatch
from featmatch.cli.common import CLUSTER_FILE, PathArgument, open_indexes
from featmatch.errors import FeatmatchError
from featmatch.names import path_meant, printable

if TYPE_CHECKING:
    from featmatch.store.reader import Reader

_DRAWN = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-*.jpg"  # files that `query --draw` writes into a folder


class _Output(click.Parameter):
    """A file, or a folder of drawings, that a command writes. What is there from an earlier run may be replaced."""

    def __init__(self, *names: Any, **settings: Any) -> None:
        super().__init__(*names, **{"type": click.Path(path_type=Path), **settings})

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """The path, once it is certain that nothing is lost by writing it."""
        target, rest = super().handle_parse_result(ctx, opts, args)
        reason = _reason_against(target, ctx.command, opts) if isinstance(target, Path) else None
        if reason is not None:
            raise click.BadParameter(reason, ctx=ctx, param=self)
        return target, rest


class OutputOption(_Output, click.Option):
    """An option whose value is a file, or a folder of drawings, that is written."""


class OutputArgument(_Output, click.Argument):
    """The same as an argument."""


parquet_option = click.option(
    "--parquet", cls=OutputOption, metavar="FILE", help="Write the rows of --csv to a Parquet file, too."
)


def _reason_against(target: Path, command: click.Command, given: Mapping[str, Any]) -> str | None:
    """Why a path must not be written, by all that the command line names; None: it may."""
    whole = Path(os.path.realpath(target))
    for folder in (whole, *whole.parents):
        if _is_index(folder):
            return f"{printable(str(target))} lies in the index {printable(str(folder))}"
    inputs, root = [*_inputs(command, given)], next(_values(given, "root"), None)
    for there in target.glob(_DRAWN) if target.is_dir() else [target]:
        if not there.is_file():
            continue
        if any(_is_read(there, name) for name in inputs):
            return f"{printable(str(there))} would be overwritten, and it is read"
        index = next((name for name in _values(given, "index", "also") if _has(name, there, root)), None)
        if index is not None:
            return f"{printable(str(there))} would be overwritten, and it is in the index {printable(index)}"
    return None


def _is_index(folder: Path) -> bool:
    from featmatch.store.layout import CATALOG

    return any(os.path.lexists(folder / name) for name in (CATALOG, CLUSTER_FILE))


def _inputs(command: click.Command, given: Mapping[str, Any]) -> Iterator[str]:
    """All files and folders that the command line names as something to read, other than indexes."""
    for param in command.params:
        if isinstance(param.type, PathArgument) and param.name not in ("index", "also"):
            yield from _values(given, param.name)


def _values(given: Mapping[str, Any], *names: str | None) -> Iterator[str]:
    for name in names:
        value = given.get(name or "")
        for one in value if isinstance(value, (tuple, list)) else [value]:
            if isinstance(one, str):
                yield path_meant(one)


def _is_read(target: Path, name: str) -> bool:
    """Whether a file is what a name says, or an image in the folder that it says."""
    from featmatch.images.archives import is_archive
    from featmatch.images.kinds import SUFFIXES
    from featmatch.names import whole_file

    source = Path(os.path.realpath(whole_file(name)))
    whole = Path(os.path.realpath(target))
    is_image = whole.suffix.lower() in SUFFIXES or is_archive(str(whole))
    return whole == source or (source in whole.parents and is_image)


def _has(index: str, target: Path, root: str | None) -> bool:
    """Whether an image in an index, or in several, is this file or a part of it: a page, a picture in an archive."""
    try:
        opened = open_indexes(Path(index), (), root)
    except FeatmatchError:
        return False  # which the command says better
    readers = opened.readers.values() if isinstance(opened, featmatch.Indexes) else [opened]
    return any(_holds(reader, path) for reader in readers for path in {str(target), os.path.realpath(target)})


def _holds(reader: Reader, path: str) -> bool:
    from featmatch.store.places import name_known

    catalog, places = reader.snapshot.catalog, reader.places
    parts = (f"{name}#" for name in places.names_of(path))
    return name_known(path, catalog, places) is not None or bool(catalog.names_beginning(parts))
