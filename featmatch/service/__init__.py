"""HTTP: the answers of an index for other programs and for a browser."""
