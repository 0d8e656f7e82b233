"""``featmatch``, which ``python -m featmatch`` is too. Ctrl-C is quiet from here on, while all else is imported."""

from __future__ import annotations

import sys
import warnings

from featmatch.system import ending


def main() -> None:
    """Run the command line and exit with its status."""
    ending.exit_on_signals()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries: what went wrong is told in our own words
    from featmatch.cli import main

    main()


if __name__ == "__main__":
    main()
