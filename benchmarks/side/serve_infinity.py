"""infinity's server, which gives vectors and searches nothing.

python serve_infinity.py MODEL IMAGES FOLDER PORT
"""

from __future__ import annotations

import sys

from infinity_emb.cli import cli

MODEL, _, _, PORT = sys.argv[1:]
sys.argv[1:] = ["v2", "--model-id", MODEL, "--served-model-name", "clip", "--engine", "torch"]
sys.argv += ["--device", "cpu", "--host", "127.0.0.1", "--port", PORT, "--no-model-warmup"]
cli()
