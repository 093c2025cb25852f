"""clip-retrieval's back end over an exact index of a folder.

python serve_clip_retrieval.py CHECKPOINT IMAGES FOLDER PORT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import faiss
import pandas as pd
import torch
from all_clip import load_clip
from clip_retrieval.clip_back import clip_back
from flask import Flask
from PIL import Image

NAME = f"open_clip:ViT-B-32/{sys.argv[1]}"
FOLDER = Path(sys.argv[3])
PATHS = sorted(str(path) for path in Path(sys.argv[2]).rglob("*.*g") if path.is_file())

model, prepare, _ = load_clip(NAME, use_jit=False, device="cpu")
index = faiss.IndexFlatIP(512)
for one in PATHS:
    with torch.no_grad():
        vector = model.encode_image(prepare(Image.open(one).convert("RGB"))[None])
    index.add((vector / vector.norm()).numpy())
faiss.write_index(index, str(FOLDER / "image.index"))
(FOLDER / "metadata").mkdir()
pd.DataFrame({"image_path": PATHS}).to_parquet(FOLDER / "metadata/metadata_0.parquet")
(FOLDER / "indices.json").write_text(json.dumps({"photos": str(FOLDER)}))

run = Flask.run
Flask.run = lambda app, **options: run(app, **{**options, "host": "127.0.0.1"})  # it asks for all
clip_back(
    str(FOLDER / "indices.json"),
    port=int(sys.argv[4]),
    clip_model=NAME,
    use_jit=False,
    enable_mclip_option=False,
    provide_aesthetic_embeddings=False,
    columns_to_return=["image_path"],
)
