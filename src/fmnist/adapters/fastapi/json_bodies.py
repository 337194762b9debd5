"""JSON bodies read strictly: what a lenient parser would pass over is refused with a reason."""

from contextlib import suppress
from itertools import chain
from typing import Any

import orjson

from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.data.images import PIXELS, SIDE, Images, decode_images, images_from_bytes
from fmnist.domain.model.errors import InvalidImages

_BESIDE_IMAGES = 10_000  # lists, objects and keys, far more than any body has use for


def parse_object(body: bytes, max_images: int) -> dict[str, Any]:
    """Return the JSON object of a body that has room for `max_images` images.

    Raises:
        Problem: no JSON, none that is an object, or one of more lists, objects or keys than so many images have.
    """
    # Each takes up to fifty times the memory of its text, and a body of them alone would stop the service for seconds.
    # Somewhat too many images are told so below, in better words.
    lists_allowed = 2 * max_images * (1 + SIDE) + _BESIDE_IMAGES
    if body.count(b"[") > lists_allowed or max(body.count(b"{"), body.count(b":")) > _BESIDE_IMAGES:
        reason = f"it has more lists, objects or keys than {max_images} images can have"
        raise Problem(400, "malformed_json", f"the body is not JSON of images: {reason}")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # The parser's message has a position, and nothing of the text.
        raise Problem(400, "malformed_json", f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Problem(422, "invalid_body", "the body must be a JSON object")
    return document


def images_from_json(body: bytes, max_images: int) -> Images:
    """Return the images of `{"images": [...]}`, each of them 784 integers or 28 rows of 28.

    Raises:
        Problem: no JSON, or an object with other keys.
        InvalidImages: with the position of the first bad value.
    """
    document = parse_object(body, max_images)
    if "images" not in document:
        raise Problem(422, "invalid_body", "the body must be an object with the key 'images', which is missing")
    if len(document) > 1:
        raise Problem(422, "invalid_body", "the body must be an object with the key 'images' and no other")
    images = document["images"]
    if not isinstance(images, list):
        raise InvalidImages("images must be a list of images")
    check_count(len(images), max_images)
    batch = batch_of(images, body)
    # All that was read are one key and integers, so more quotes belong to a key that stood there before and was lost.
    if body.count(b'"') != 2:
        raise Problem(422, "invalid_body", "the key 'images' must be given once")
    return batch


def batch_of(images: list[Any], body: bytes) -> Images:
    """Return a list of images that was parsed from `body` as `decode_images` does, and faster where all is well.

    Raises:
        InvalidImages: with the position of the first bad value.
    """
    # Of all that JSON knows, bytes() takes for a pixel what is one, or a boolean: and of those there are none.
    if not (_holds(body, b"true") or _holds(body, b"false")):
        rows = list(chain.from_iterable(images)) if _are_lists_of(SIDE, images) else images
        if _are_lists_of(PIXELS if rows is images else SIDE, rows):
            with suppress(ValueError, TypeError):
                return images_from_bytes(b"".join(map(bytes, rows)))
    return decode_images(images)


def _are_lists_of(length: int, values: list[Any]) -> bool:
    return set(map(type, values)) == {list} and set(map(len, values)) == {length}


def _holds(body: bytes, word: bytes) -> bool:
    # Looking for one letter is quicker by far than for a word.
    return word[:1] in body and word in body


def check_count(count: int, max_images: int) -> None:
    """See that there are no more images than one request may have; that there is one at least is seen elsewhere.

    Raises:
        InvalidImages: too many.
    """
    if count > max_images:
        raise InvalidImages(f"{count} images, expected at most {max_images} in one request: send them in several")
