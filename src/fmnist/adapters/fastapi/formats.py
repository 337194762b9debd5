"""The formats of request bodies: each content type, and how its body is decoded to a uint8 batch."""

import asyncio
from collections.abc import Callable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np

from fmnist.adapters.fastapi.json_bodies import check_count, images_from_json
from fmnist.adapters.fastapi.npy import images_from_npy
from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.adapters.pillow.files import UnreadablePicture, decode_picture
from fmnist.domain.model.data.images import Images, images_from_bytes
from fmnist.domain.model.data.photograph import Prepared, Step

_T = TypeVar("_T")
JSON, OCTETS, NPY, PNG, JPEG = (
    "application/json",
    "application/octet-stream",
    "application/x-npy",
    "image/png",
    "image/jpeg",
)


def media_type_of(content_type: str) -> str:
    """Return the media type of a content type, without its parameters and in lower case."""
    return content_type.partition(";")[0].strip().lower()


class ImageFormats:
    """Decodes bodies within the limits of one application."""

    def __init__(self, settings: HttpSettings) -> None:
        self._max_images = settings.max_images
        self._max_picture_pixels = settings.max_picture_pixels
        self._arrays: Mapping[str, Callable[[bytes], Images]] = {OCTETS: images_from_bytes, NPY: images_from_npy}
        # Decoding takes up to a thousand times the memory of a picture's file. So decode one at a time, even if its
        # client has left, and in a separate thread, so that nothing else waits for pictures.
        self._one_picture = ThreadPoolExecutor(max_workers=1, thread_name_prefix="picture")

    def check(self, content_type: str | None) -> str:
        """Return the media type that a content type names, without its parameters.

        Raises:
            Problem: it is not supported.
        """
        media_type = media_type_of(content_type or "")
        if media_type not in (JSON, OCTETS, NPY, PNG, JPEG):
            accepted = ", ".join((JSON, OCTETS, NPY, PNG, JPEG))
            raise Problem(415, "unsupported_media_type", f"content-type must be one of {accepted}")
        return media_type

    async def decode(self, media_type: str, body: bytes) -> Images:
        """Return the images of a body. `media_type` is a result of `check`.

        Raises:
            Problem: the body is malformed.
            InvalidImages: the body is well-formed, but holds no images, too many, or a value that is not a pixel.
        """
        if media_type == JSON:
            return images_from_json(body, self._max_images)
        if media_type in self._arrays:
            images = self._arrays[media_type](body)
            check_count(len(images), self._max_images)
            return images
        return await self._read(partial(decode_picture, body, self._max_picture_pixels))

    async def read(self, media_type: str, body: bytes, left_out: Set[Step] | None) -> tuple[Images, Prepared | None]:
        """Decode a body, or prepare a photograph by all steps but those that are left out; raises as `decode` does.

        Raises:
            Problem: what is to be prepared is no picture (422).
        """
        if left_out is None:
            return await self.decode(media_type, body), None
        from fmnist.adapters.pillow.photographs import prepare_photograph  # only where it is asked for

        if media_type not in (PNG, JPEG):
            raise Problem(422, "invalid_parameter", "query prepare: only a picture, PNG or JPEG, can be prepared")
        prepared = await self._read(partial(prepare_photograph, body, self._max_picture_pixels, left_out))
        return prepared.image[np.newaxis], prepared

    async def _read(self, read: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._one_picture, read)
        except UnreadablePicture as error:
            raise Problem(400, "malformed_picture", "not a readable PNG or JPEG picture") from error
