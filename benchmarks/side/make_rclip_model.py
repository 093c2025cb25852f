"""Write the picture side of an open_clip checkpoint as the ONNX graph that rclip reads.

python make_rclip_model.py CHECKPOINT FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import open_clip
import torch
from rclip.model_download import MODEL_SUBDIR, VISUAL_ONNX

path = Path(sys.argv[2]) / MODEL_SUBDIR / VISUAL_ONNX
path.parent.mkdir(parents=True, exist_ok=True)
model = open_clip.create_model("ViT-B-32", pretrained=sys.argv[1]).eval()
torch.backends.mha.set_fastpath_enabled(False)  # ONNX has no such operation
torch.onnx.export(
    model.visual,
    (torch.zeros(2, 3, 224, 224),),
    str(path),
    input_names=["input"],
    output_names=["output"],
    dynamic_axes={"input": {0: "n"}, "output": {0: "n"}},
    dynamo=False,
)
