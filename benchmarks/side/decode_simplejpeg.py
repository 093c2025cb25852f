"""simplejpeg, decoding at an eighth to the whole of the size, then Pillow's resize.

The first argument is a model, which it does not need.
"""

from __future__ import annotations

import numpy as np
import simplejpeg
from PIL import Image
from turns import photos, take_turns


def prepare(data, resize_to, size):
    """One photo's `[size, size, 3]` uint8 pixels."""
    pixels = simplejpeg.decode_jpeg(
        data, "RGB", min_height=resize_to, min_width=resize_to, min_factor=1
    )
    image = Image.fromarray(pixels)
    width, height = image.size
    long = int(resize_to * max(width, height) / min(width, height))
    resized = (resize_to, long) if width <= height else (long, resize_to)
    image = image.resize(resized, Image.Resampling.BICUBIC)
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def work(images, out, resize_to, size):
    """All photos of a folder."""
    del out
    return [prepare(path.read_bytes(), resize_to, size) for path in photos(images)]


take_turns(work, lambda pixels: pixels)
