"""The image folder: listing it, and telling what changed since the catalog last saw it."""
