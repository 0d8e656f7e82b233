"""Points -> the map between two pictures, and how sure it is."""
