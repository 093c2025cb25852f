"""Milvus behind the index contract: an embedded file, a server or a cluster, chosen by a URI.

A collection holds one space of one store, a row for each entry (a photo, or a moment of a video).
The alias names the collection that answers; going live is moving it.

Fields: ``pk`` (see `layout.key_of`), ``vector``, ``item``, ``at_ms``, ``path``, ``path_key``,
``md5``, ``product``, ``tags`` (numbers that stand for the attributes, see `filters`),
``attributes`` (JSON) and ``marks`` (JSON: ambiguous, stale). What the collection is, and how far
the ingester has carried the catalog over, are properties of the collection: they are lost with it
and with nothing else, so a volume that comes back empty or old is filled from where it stands.
"""
