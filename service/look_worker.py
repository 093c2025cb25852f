"""`python -m service.look_worker MODEL PIXELS BYTES MEMORY_MB` runs a light model on pictures.

One picture after another comes in by standard input and is answered on standard output, until the
input ends: with the service, however that came about. Numbers are little-endian.

    question  left, top, right, bottom (float64), length (uint64); then the encoded picture
    answer    fine (bool), seconds of decoding and of the pass (float64), length (uint64); then the
              vector (float32) or, of a picture that cannot be used, JSON: `code` and `message`

A first answer comes unasked. It holds the model's fingerprint.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
import time
import traceback
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from core.errors import ImageError
from core.memory import bound_memory
from core.vision.decode import DecodeLimits
from core.vision.models import ModelSource, load_embedder
from service.errors import as_ours
from service.memory import freed_memory_kept
from service.preparing import prepare_upload
from service.questions import WHOLE, Crop

if TYPE_CHECKING:
    from core.vision.embedder import Embedder

QUESTION: Final = struct.Struct("<4dQ")
ANSWER: Final = struct.Struct("<?ddQ")


def main(spec: str, max_pixels: int, max_bytes: int, memory_mb: int) -> None:
    """Answer until the input ends."""
    # Both may reach all processes of a service that then answers what it has begun, with this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    questions, answers = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    limits = DecodeLimits(max_pixels, max_bytes, "LOOKALIKE_MAX_UPLOAD_MB")
    embedder = load_embedder(ModelSource(spec, None))
    embedder.embed(np.zeros((1, embedder.image_size, embedder.image_size, 3), np.uint8))
    bound_memory(memory_mb)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _send(answers, _packed(embedder.fingerprint.encode()))
    with freed_memory_kept():
        while (asked := _asked(questions)) is not None:
            _send(answers, _answer(embedder, limits, *asked))


def _asked(questions: BinaryIO) -> tuple[bytes, Crop] | None:
    head = questions.read(QUESTION.size)
    if len(head) < QUESTION.size:
        return None
    *edges, length = QUESTION.unpack(head)
    upload = questions.read(length)
    return (upload, Crop(*edges)) if len(upload) == length else None


def _answer(embedder: Embedder, limits: DecodeLimits, upload: bytes, crop: Crop) -> bytes:
    began = decoded = time.perf_counter()
    try:
        part = None if crop == WHOLE else crop
        _, pixels = prepare_upload(embedder, upload, limits, part)
        decoded = time.perf_counter()
        body = embedder.embed(pixels[None]).astype("<f4").tobytes()
    except Exception as error:  # noqa: BLE001  # untrusted bytes may make a decoder raise anything
        return _packed(_told(error), decoded - began, fine=False)
    return _packed(body, decoded - began, time.perf_counter() - decoded)


def _told(error: Exception) -> bytes:
    told = {"code": as_ours(error).code, "message": str(as_ours(error))}
    if not isinstance(error, ImageError):
        told["trace"] = traceback.format_exc()
    return json.dumps(told).encode()


def _packed(body: bytes, decode_s: float = 0.0, pass_s: float = 0.0, *, fine: bool = True) -> bytes:
    return ANSWER.pack(fine, decode_s, pass_s, len(body)) + body


def _send(answers: BinaryIO, answer: bytes) -> None:
    answers.write(answer)
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
