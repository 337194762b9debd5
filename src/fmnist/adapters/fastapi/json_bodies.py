"""Reads JSON bodies strictly: it refuses errors that a lenient parser would ignore, with a reason."""

from contextlib import suppress
from itertools import chain
from typing import Any

import orjson

from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.data.images import PIXELS, SIDE, Images, decode_images, images_from_bytes
from fmnist.domain.model.errors import InvalidImages

_BESIDE_IMAGES = 10_000  # more lists, objects and keys than any real body has beside its images


def parse_object(body: bytes, max_images: int) -> dict[str, Any]:
    """Return the JSON object of a body that may hold up to `max_images` images.

    Raises:
        Problem: it is not valid JSON, not an object, or has more lists, objects or keys than `max_images` images have.
    """
    # Each takes up to fifty times the memory of its text. A body full of them would stop the service for seconds.
    # The limit is twice what the images need, so that a few images too many get the better message of `check_count`.
    lists_allowed = 2 * max_images * (1 + SIDE) + _BESIDE_IMAGES
    if body.count(b"[") > lists_allowed or max(body.count(b"{"), body.count(b":")) > _BESIDE_IMAGES:
        reason = f"it has more lists, objects or keys than {max_images} images need"
        raise Problem(400, "malformed_json", f"the body is not JSON of images: {reason}")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # The parser's message has a position, but no text of the body.
        raise Problem(400, "malformed_json", f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Problem(422, "invalid_body", "the body must be a JSON object")
    return document


def images_from_json(body: bytes, max_images: int) -> Images:
    """Return the images of `{"images": [...]}`. Each is a list of 784 integers, or 28 rows of 28.

    Raises:
        Problem: it is not valid JSON, or an object with other keys.
        InvalidImages: a value is not a pixel. The message has the position of the first one.
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
    # The parser keeps only the last of equal keys. The result has one key and integers, so more quotes mean more keys.
    if body.count(b'"') != 2:
        raise Problem(422, "invalid_body", "the key 'images' must be given once")
    return batch


def batch_of(images: list[Any], body: bytes) -> Images:
    """Return images that were parsed from `body`, like `decode_images`, but faster if all values are valid.

    Raises:
        InvalidImages: a value is not a pixel. The message has the position of the first one.
    """
    # Of all JSON values, bytes() accepts only pixels and booleans, so there must be no boolean.
    if not (_holds(body, b"true") or _holds(body, b"false")):
        rows = list(chain.from_iterable(images)) if _are_lists_of(SIDE, images) else images
        if _are_lists_of(PIXELS if rows is images else SIDE, rows):
            with suppress(ValueError, TypeError):
                return images_from_bytes(b"".join(map(bytes, rows)))
    return decode_images(images)


def _are_lists_of(length: int, values: list[Any]) -> bool:
    return set(map(type, values)) == {list} and set(map(len, values)) == {length}


def _holds(body: bytes, word: bytes) -> bool:
    # A search for one letter is much faster than for a word.
    return word[:1] in body and word in body


def check_count(count: int, max_images: int) -> None:
    """Check that a request has not too many images. Other code checks that it has at least one.

    Raises:
        InvalidImages: it has more than `max_images`.
    """
    if count > max_images:
        raise InvalidImages(f"{count} images, expected at most {max_images} in one request: send them in several")
