"""Edited copies of a user's own photos: made, searched for, and counted."""
