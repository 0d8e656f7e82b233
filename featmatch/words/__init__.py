"""Descriptors -> visual words."""
