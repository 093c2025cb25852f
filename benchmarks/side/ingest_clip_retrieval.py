"""clip-retrieval's own reader, mapper and writer, with its model loaded beforehand."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from all_clip import load_clip
from clip_retrieval.clip_inference.mapper import ClipMapper
from clip_retrieval.clip_inference.reader import FilesReader
from clip_retrieval.clip_inference.runner import Runner
from clip_retrieval.clip_inference.writer import NumpyWriter
from turns import take_turns

BATCH = 32  # its default of 256 would leave nothing to overlap in a short run
WORKERS = 4  # its default
NAME = f"open_clip:ViT-B-32/{sys.argv[1]}"
MODEL = {"clip_model": NAME, "use_jit": False, "warmup_batch_size": 1}
_, PREPARE, TOKENIZER = load_clip(**MODEL)
MAPPER = ClipMapper(
    enable_image=True,
    enable_text=False,
    enable_metadata=False,
    use_mclip=False,
    mclip_model=None,
    **MODEL,
)


class NoLog:
    """In place of its logger, a process whose start would weigh on a short run."""

    def start(self):
        """Nothing to start."""

    def __call__(self, figures):
        """Nothing to write."""

    def end(self):
        """Nothing to end."""


def ingest(images, out):
    """One partition, as `clip-retrieval inference` would do it on one machine."""
    Runner(
        reader_builder=lambda sampler: FilesReader(
            sampler, PREPARE, TOKENIZER, str(images), BATCH, WORKERS, enable_text=False
        ),
        mapper_builder=lambda: MAPPER,
        writer_builder=lambda part: NumpyWriter(part, str(out), False, True, False, 1),
        logger_builder=lambda part: NoLog(),  # noqa: ARG005
        output_partition_count=1,
    )(0)
    return out


def vectors(out):
    """The written vectors by path."""
    rows = np.load(out / "img_emb/img_emb_0.npy")
    paths = pd.read_parquet(out / "metadata/metadata_0.parquet")["image_path"]
    return rows[np.argsort(paths.to_numpy())]


take_turns(ingest, vectors)
