"""An index on disk: catalogue, segments, and how they change so that a crash loses nothing."""
