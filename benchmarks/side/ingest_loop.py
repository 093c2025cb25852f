"""The loop that every small service begins with: open, prepare, embed, one photo at a time."""

from __future__ import annotations

import sys

import numpy as np
import open_clip
import torch
from PIL import Image
from turns import photos, take_turns

MODEL, _, PREPARE = open_clip.create_model_and_transforms("ViT-B-32", pretrained=sys.argv[1])
MODEL.eval()


def ingest(images, out):
    """Photo by photo, then one file of vectors."""
    vectors = []
    for path in photos(images):
        image = PREPARE(Image.open(path).convert("RGB"))[None]
        with torch.no_grad():
            vector = MODEL.encode_image(image)[0]
        vectors.append((vector / vector.norm()).numpy())
    np.save(out / "index.npy", vectors)
    return vectors


take_turns(ingest, lambda vectors: vectors)
