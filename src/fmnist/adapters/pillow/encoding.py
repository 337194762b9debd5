"""Encodes images as PNG or JPEG, as a client of the service sends them."""

import io

from PIL import Image

from fmnist.domain.model.data.images import Images


def encode_picture(image: Images, picture_format: str) -> bytes:
    """Return one image, uint8 (28, 28), as a grey picture in the format `PNG` or `JPEG` (quality 95)."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, picture_format, quality=95)
    return file.getvalue()
