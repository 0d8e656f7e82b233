"""Starts the command line, as ``featmatch`` or ``python -m featmatch``. Ctrl-C ends it quietly even during imports."""

from __future__ import annotations

import sys
import warnings

from featmatch.system import ending


def main() -> None:
    """Run the command line and exit with its status."""
    ending.exit_on_signals()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries; featmatch reports what went wrong itself
    from featmatch.cli import main

    main()


if __name__ == "__main__":
    main()
