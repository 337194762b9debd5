"""Writes images as picture files, as a caller of the service has them."""

import io

from PIL import Image

from fmnist.domain.model.data.images import Images


def encode_picture(image: Images, picture_format: str) -> bytes:
    """Return one image, uint8 (28, 28), as a grey picture of the format `PNG` or `JPEG`, the latter at its best."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, picture_format, quality=95)
    return file.getvalue()
