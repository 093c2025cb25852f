"""chromadb behind FastAPI, with its own open_clip function.

python serve_chromadb.py CHECKPOINT IMAGES FOLDER PORT
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import chromadb
import numpy as np
import uvicorn
from chromadb.utils.data_loaders import ImageLoader
from chromadb.utils.embedding_functions import OpenCLIPEmbeddingFunction
from fastapi import FastAPI, UploadFile
from PIL import Image

PATHS = sorted(str(path) for path in Path(sys.argv[2]).rglob("*.*g") if path.is_file())
COLLECTION = chromadb.PersistentClient(sys.argv[3]).create_collection(
    "photos",
    embedding_function=OpenCLIPEmbeddingFunction("ViT-B-32", sys.argv[1]),
    data_loader=ImageLoader(),
)
COLLECTION.add(ids=PATHS, uris=PATHS)
app = FastAPI()


@app.post("/")
def search(file: UploadFile):
    """The nearest ten."""
    image = np.array(Image.open(io.BytesIO(file.file.read())).convert("RGB"))
    found = COLLECTION.query(query_images=[image], n_results=10, include=["distances"])
    return {"ids": found["ids"], "distances": found["distances"]}


uvicorn.run(app, port=int(sys.argv[4]), log_level="error")
