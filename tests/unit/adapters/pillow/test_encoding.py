"""A picture that we encode reads back as the same image."""

from pathlib import Path

import numpy as np
import pytest

from fmnist.adapters.pillow.files import encode_picture, read_image_file
from fmnist.testing.data import toy_images

IMAGE = toy_images(1).images[0]


@pytest.mark.parametrize(("picture_format", "allowed"), [("PNG", 0), ("JPEG", 40)])
def test_encoded_picture_reads_back_as_the_image(tmp_path: Path, picture_format: str, allowed: int) -> None:
    path = tmp_path / "picture"
    path.write_bytes(encode_picture(IMAGE, picture_format))
    (read,) = read_image_file(path)
    assert np.abs(read.astype(int) - IMAGE).max() <= allowed
