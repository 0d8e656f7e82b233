"""Trained vocabularies, installed as ``featmatch.data``; README.md says where they come from."""
