"""``python -m featmatch`` is ``featmatch``."""

from featmatch.cli import main

main()
