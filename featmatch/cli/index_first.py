"""INDEX comes first: FEATMATCH_INDEX may stand for it, and where arguments are swapped the user is told."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import click

from featmatch.cli.common import CLUSTER_FILE
from featmatch.errors import UsageError
from featmatch.names import path_meant, printable

VARIABLE = "FEATMATCH_INDEX"

# What to do with a cluster in place of commands that take one index alone.
_INSTEAD = {
    "add": "`featmatch cluster add` adds to it",
    "check": "`featmatch cluster check` looks for damage, and `featmatch check --repair` mends one of its shards",
    "compact": "`featmatch compact` takes one of its shards at a time",
    "pairs": "`featmatch groups` finds copies in all of it; `featmatch pairs` numbers the images of one index",
    "accept": "a verdict is kept in one index; give it to one of its shards, and it counts in all",
    "reject": "a verdict is kept in one index; give it to one of its shards, and it counts in all",
}


def with_index(command: click.Command, arguments: Sequence[str], context: click.Context) -> list[str]:
    """The arguments of a command, with the index that the environment names where it takes one and is given none.

    Raises:
        UsageError: another argument than the first is an index; or the command takes none of several indexes.
    """
    wanted = [one for one in command.params if isinstance(one, click.Argument)]
    if not wanted or wanted[0].name != "index" or not wanted[0].required:
        return list(arguments)
    given = list(_given(command, wanted, arguments, context))
    known = os.environ.get(VARIABLE)
    if known and not (given and (_is_index(given[0]) or (command.name == "add" and _can_become_one(given)))):
        _refuse_cluster(command, known)
        return [known, *arguments]
    if given:
        _refuse_cluster(command, given[0])
    if given and not _is_index(given[0]):
        index = next(filter(_is_index, given[1:]), None)
        if index is not None:
            raise click.UsageError(
                f"INDEX comes first: {printable(index)} is one, {printable(given[0])} is none",
                click.Context(command, parent=context, info_name=command.name),
            )
    return list(arguments)


def _given(
    command: click.Command, wanted: Sequence[click.Argument], arguments: Sequence[str], context: click.Context
) -> Iterator[str]:
    """What is given for some arguments, without options."""
    own = click.Context(command, parent=context, info_name=command.name)
    try:
        values, _, _ = command.make_parser(own).parse_args(list(arguments))
    except click.UsageError:  # raised again when the arguments are parsed for good
        return
    for argument in wanted:
        value = values.get(argument.name)
        for one in value if isinstance(value, (tuple, list)) else [value]:
            if isinstance(one, str):
                yield one


def _refuse_cluster(command: click.Command, index: str) -> None:
    instead = _INSTEAD.get(command.name or "")
    if instead is not None and os.path.lexists(os.path.join(path_meant(index), CLUSTER_FILE)):
        raise UsageError(f"{printable(index)} is a cluster: {instead}")


def _is_index(text: str) -> bool:
    from featmatch.store.layout import CATALOG

    return any(os.path.lexists(os.path.join(path_meant(text), name)) for name in (CATALOG, CLUSTER_FILE))


def _can_become_one(given: Sequence[str]) -> bool:
    """Whether the first of several arguments is a path where there is nothing, or an empty folder."""
    path = path_meant(given[0])
    return len(given) > 1 and (not os.path.lexists(path) or (os.path.isdir(path) and not os.listdir(path)))
