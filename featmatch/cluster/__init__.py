"""One collection in many indexes: which of them holds what, adding to all, and asking them on other machines."""
