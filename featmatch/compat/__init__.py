"""The calls of other tools, answered by featmatch: change an import, keep the script (``docs/coming-from.md``)."""
