"""infinity's engine: photos in, vectors out; it keeps none, so they go to one file."""

from __future__ import annotations

import asyncio
import sys

import numpy as np
from infinity_emb import AsyncEmbeddingEngine, EngineArgs
from turns import photos, take_turns

BATCH = 32  # its default
ENGINE = AsyncEmbeddingEngine.from_args(
    EngineArgs(model_name_or_path=sys.argv[1], engine="torch", device="cpu", batch_size=BATCH)
)
LOOP = asyncio.new_event_loop()
LOOP.run_until_complete(ENGINE.astart())


def ingest(images, out):
    """Hand all photos over at once; the engine makes its batches."""
    files = [path.read_bytes() for path in photos(images)]
    found, _ = LOOP.run_until_complete(ENGINE.image_embed(images=files))
    np.save(out / "index.npy", found)
    return found


take_turns(ingest, lambda found: found)
LOOP.run_until_complete(ENGINE.astop())
