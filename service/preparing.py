"""An upload made ready for a model: decoded, cut, scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.vision.decode import decode_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from core.vision.decode import DecodeLimits
    from core.vision.embedder import Embedder
    from service.questions import Crop


def prepare_upload(
    embedder: Embedder, upload: bytes, limits: DecodeLimits, crop: Crop | None = None
) -> tuple[Image.Image, NDArray[np.uint8]]:
    """Give an encoded picture, or a part of it, as RGB and as `[size, size, 3]` uint8 pixels.

    Raises:
        ImageError: the upload cannot be used.
    """
    detail = embedder.preprocessing.detail
    if crop is None:
        image = decode_image(upload, limits, detail)
    else:
        image = crop.cut(decode_image(upload, limits, crop.detail_of_whole(detail)))
    return image, embedder.prepare(image)
