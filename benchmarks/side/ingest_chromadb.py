"""chromadb's own loader and open_clip function, into a collection on disk."""

from __future__ import annotations

import sys
import time

import chromadb
from chromadb.utils.data_loaders import ImageLoader
from chromadb.utils.embedding_functions import OpenCLIPEmbeddingFunction
from turns import photos, take_turns

BATCH = 32
EMBED = OpenCLIPEmbeddingFunction("ViT-B-32", sys.argv[1])


def ingest(images, out):
    """Add the photos by path, some at a time."""
    client = chromadb.PersistentClient(str(out / str(time.time_ns())))  # it keeps what it opened
    collection = client.create_collection(
        "photos", embedding_function=EMBED, data_loader=ImageLoader()
    )
    paths = [str(path) for path in photos(images)]
    for start in range(0, len(paths), BATCH):
        part = paths[start : start + BATCH]
        collection.add(ids=part, uris=part)
    return collection


def vectors(collection):
    """The stored vectors by path."""
    rows = collection.get(include=["embeddings"])
    return [vector for _, vector in sorted(zip(rows["ids"], rows["embeddings"]))]


take_turns(ingest, vectors)
