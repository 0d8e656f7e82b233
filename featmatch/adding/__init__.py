"""Files -> an index."""
