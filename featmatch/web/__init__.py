"""The web page: its modules, styles and words, and how they are put together."""
