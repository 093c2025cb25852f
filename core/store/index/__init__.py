"""Nearest-neighbour search over unit vectors: one contract and its adapters."""
