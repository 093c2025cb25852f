"""A plain DataLoader: worker processes prepare batches, the main process embeds them.

In bf16 where the processor has it, as anyone would who looks for the easiest gain.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from turns import photos, take_turns

BATCH = 32
NATIVE_BF16 = "bf16" in Path("/proc/cpuinfo").read_text()
MODEL, _, PREPARE = open_clip.create_model_and_transforms("ViT-B-32", pretrained=sys.argv[1])
TYPE = torch.bfloat16 if NATIVE_BF16 else torch.float32
MODEL.eval().to(TYPE)


class Photos(Dataset):
    """Prepared photos of a folder."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        """How many."""
        return len(self.paths)

    def __getitem__(self, number):
        """One, prepared."""
        return PREPARE(Image.open(self.paths[number]).convert("RGB"))


def ingest(images, out):
    """Batch by batch, then one file of vectors."""
    vectors = []
    loader = DataLoader(Photos(photos(images)), batch_size=BATCH, num_workers=os.cpu_count())
    with torch.inference_mode():
        for batch in loader:
            part = MODEL.encode_image(batch.to(TYPE)).float()
            vectors.append((part / part.norm(dim=1, keepdim=True)).numpy())
    vectors = np.concatenate(vectors)
    np.save(out / "index.npy", vectors)
    return vectors


take_turns(ingest, lambda vectors: vectors)
