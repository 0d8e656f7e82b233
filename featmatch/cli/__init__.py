"""The command line: parse, call, print."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

import featmatch
from featmatch.cli import clustering, grouping, keeping, measuring, searching, serving
from featmatch.cli.failing import check_memory, let_go_of_output, status_of
from featmatch.cli.index_first import with_index
from featmatch.errors import FeatmatchError
from featmatch.system import ending
from featmatch.system.quiet import keep_decoders_quiet, keep_streams_open


class _Commands(click.Group):
    """Commands that report a failure by one line on standard error and an exit status."""

    def invoke(self, context: click.Context) -> Any:
        try:
            check_memory()
            return super().invoke(context)
        except (FeatmatchError, EOFError, OSError, KeyboardInterrupt) as error:  # before click sees them
            context.exit(status_of(error))

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(context, arguments)
        return name, command, rest if command is None else with_index(command, rest, context)

    def list_commands(self, context: click.Context) -> list[str]:
        del context
        return list(self.commands)  # in the order in which they are used, not alphabetical


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(featmatch.__version__, prog_name="featmatch")
def cli() -> None:
    r"""Find the photo that a cropped, rotated, mirrored or pasted picture came from, with proof.

    INDEX is a folder that `featmatch add` creates. It stores what searches need; your images stay where they are, and
    none is changed or deleted. INDEX comes first; with FEATMATCH_INDEX in the environment it may be left out.

    Exit status: 0 something was found (or the work was done), 1 nothing was found, 2 an error, 128 + N ended by signal
    N (130: Ctrl-C).

    File names that cannot be printed as one line of text are quoted and escaped, as "caf\351.jpg"; every command
    accepts that form. With FEATMATCH_DEBUG=1 in the environment, errors come with a traceback.
    """


for command in (
    keeping.add, searching.query, searching.verify, searching.explain, searching.similar, grouping.groups,
    grouping.dedupe, grouping.pairs, keeping.remove, keeping.list_, keeping.info, keeping.reject, keeping.accept,
    keeping.compact, keeping.check, measuring.train, measuring.evaluate, serving.serve, serving.serve_key,
    clustering.cluster,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit with its status."""
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for worker processes; featmatch reports errors itself
    keep_streams_open()
    keep_decoders_quiet()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    with ending.raise_signals():
        try:
            status = cli(standalone_mode=False, prog_name="featmatch")
        except BaseException as error:
            status = status_of(error)
        let_go_of_output()
    sys.exit(status)
