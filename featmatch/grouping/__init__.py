"""Which images of an index are copies of one another: pairs, proven from what is stored, and the groups they make."""
