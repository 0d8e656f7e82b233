"""A file -> pixels."""
