"""Carries the catalog over to Milvus, and compares the two. The catalog is always right."""
