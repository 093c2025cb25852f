"""A small service as a shop might write it: FastAPI, open_clip, FAISS.

python serve_plain.py CHECKPOINT IMAGES FOLDER PORT
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import faiss
import open_clip
import torch
import uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image

MODEL, _, PREPARE = open_clip.create_model_and_transforms("ViT-B-32", pretrained=sys.argv[1])
MODEL.eval()
PATHS = sorted(str(path) for path in Path(sys.argv[2]).rglob("*.*g") if path.is_file())
app = FastAPI()


def embed(image: Image.Image):
    """One picture as a `[1, d]` unit vector."""
    with torch.no_grad():
        vector = MODEL.encode_image(PREPARE(image.convert("RGB"))[None])
    return (vector / vector.norm()).numpy()


INDEX = faiss.IndexFlatIP(512)
for one in PATHS:
    INDEX.add(embed(Image.open(one)))


@app.post("/")
def search(file: UploadFile):
    """The nearest ten."""
    scores, rows = INDEX.search(embed(Image.open(io.BytesIO(file.file.read()))), 10)
    return [
        {"path": PATHS[row], "score": float(score)}
        for row, score in zip(rows[0], scores[0], strict=True)
    ]


uvicorn.run(app, port=int(sys.argv[4]), log_level="error")
