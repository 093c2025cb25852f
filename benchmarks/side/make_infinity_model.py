"""Write a CLIP ViT-B/32 with random weights as a folder that transformers reads.

    python make_infinity_model.py FOLDER

The vocabulary is single bytes: the pictures' side needs none, but the processor wants one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizerFast,
)
from transformers.models.clip.tokenization_clip import bytes_to_unicode

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
CLIPModel(CLIPConfig()).save_pretrained(folder)  # the defaults are ViT-B/32
letters = list(bytes_to_unicode().values())
words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
(folder / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
(folder / "merges.txt").write_text("#version: 0.2\n")
tokenizer = CLIPTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
CLIPProcessor(CLIPImageProcessor(), tokenizer).save_pretrained(folder)
