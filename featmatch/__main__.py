"""``featmatch``, which ``python -m featmatch`` is too. Ctrl-C is quiet from here on, while all else is imported."""

from __future__ import annotations

from featmatch import ending


def main() -> None:
    """Run the command line and exit with its status."""
    ending.at_once()
    from featmatch.cli import main

    main()


if __name__ == "__main__":
    main()
