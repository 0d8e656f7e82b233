"""Kernels in C: the same bits on every machine."""
