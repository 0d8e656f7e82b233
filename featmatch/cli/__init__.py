"""The command line: parse, call, print."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

import featmatch
from featmatch.cli import grouping, keeping, measuring, searching
from featmatch.cli.common import FAILED, INTERRUPTED, complain
from featmatch.errors import FeatmatchError
from featmatch.quiet import keep_decoders_quiet


class _Commands(click.Group):
    """Commands whose expected failures are one line on standard error and exit status 2."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except FeatmatchError as error:
            complain(str(error))
            context.exit(FAILED)
        except MemoryError:
            complain("out of memory")
            context.exit(FAILED)

    def list_commands(self, context: click.Context) -> list[str]:
        del context
        return list(self.commands)  # in the order of their use, not of the alphabet


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(featmatch.__version__, prog_name="featmatch")
def cli() -> None:
    """Find the photo that a cropped, rotated, mirrored or pasted picture came from, with proof.

    INDEX is a directory. Exit status: 0 something was found (or the work was done), 1 nothing was found, 2 an error.
    """


for command in (
    keeping.add, searching.query, searching.verify, grouping.groups, keeping.remove, keeping.list_, keeping.info,
    keeping.reject, keeping.accept, keeping.compact, keeping.check, measuring.train, measuring.evaluate,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit with its status."""
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for the processes it starts; results say what went wrong
    keep_decoders_quiet()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    try:
        status = cli(standalone_mode=False, prog_name="featmatch")
    except click.ClickException as error:
        error.show()
        status = FAILED
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted; what was committed stays, and running it again goes on")
        status = INTERRUPTED
    sys.exit(status)
