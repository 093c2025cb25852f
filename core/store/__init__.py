"""Vectors at rest: the catalog, the segments, the index, and what a reader holds of them."""
