"""rclip's own indexing of a folder, with the ONNX graph that it is given.

rclip's model looks at 256 pixels; here it is given one of 224, so that all do the same work.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["RCLIP_DATADIR"] = sys.argv[1]  # holds ViT-B-32-256-datacomp_s34b_b86k/visual.onnx

import numpy as np
from rclip.db import DB
from rclip.main import RClip
from rclip.model import Model
from rclip.utils import preprocess
from turns import take_turns

BATCH = 8  # rclip's default
preprocess.IMAGE_SIZE = 224
MODEL = Model()
MODEL.compute_preprocessed_image_features([np.zeros((3, 224, 224), np.float32)])


def ingest(images: Path, out: Path):
    """Index the folder into a new database."""
    database = DB(out / "db.sqlite3")
    indexer = RClip(MODEL, database, BATCH, None)
    indexer.ensure_index(str(images))
    indexer.close()
    return database, images


def vectors(done):
    """The stored vectors by path."""
    database, images = done
    rows = sorted(
        (row["filepath"], row["vector"])
        for row in database.get_image_vectors_by_dir_path(str(images))
    )
    database.close()
    return [np.frombuffer(vector, np.float32) for _, vector in rows]


take_turns(ingest, vectors)
