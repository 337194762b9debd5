"""Parses a request of the Open Inference Protocol V2: one tensor of images, and the names of the wanted outputs.

It ignores unknown parameters and keys, as the protocol requires.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from fmnist.adapters.fastapi.json_bodies import batch_of, check_count, parse_object
from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.data.images import PIXELS, SIDE, Images
from fmnist.domain.model.errors import InvalidImages

INPUT = "images"
OUTPUTS = ("class_id", "probabilities")


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A parsed request.

    Attributes:
        id: the caller's own id of the request, which the answer returns.
        images: uint8 (n, 28, 28).
        outputs: names of the wanted outputs, in the wanted order.
    """

    id: str | None
    images: Images
    outputs: tuple[str, ...]

    @classmethod
    def parse(cls, body: bytes, max_images: int) -> Self:
        """Read a body.

        Raises:
            Problem: it is not valid JSON, or does not follow the protocol.
            InvalidImages: the tensor holds no images, too many, or a value that is not a pixel.
        """
        document = parse_object(body, max_images)
        request_id = document.get("id")
        if not isinstance(request_id, str | None):
            raise _invalid("id must be a string")
        match document.get("inputs"):
            case [{"name": str() as name} as tensor] if name == INPUT:
                return cls(request_id, _images(tensor, body, max_images), _outputs(document.get("outputs")))
        raise _invalid(f"inputs must be a list of one tensor, whose name is {INPUT!r}")


def _images(tensor: Mapping[str, Any], body: bytes, max_images: int) -> Images:
    if tensor.get("datatype") != "UINT8":
        raise _invalid("the datatype of inputs[0] must be 'UINT8'")
    count, data = _count(tensor.get("shape"), max_images), tensor.get("data")
    if not isinstance(data, list):
        raise _invalid("the data of inputs[0] must be a list of integers: binary tensors are not supported")
    if data and not isinstance(data[0], list):
        if len(data) != count * PIXELS:
            raise InvalidImages(f"inputs[0] has {len(data)} values, expected {count * PIXELS} by its shape")
        data = [data[start : start + PIXELS] for start in range(0, len(data), PIXELS)]
    if len(data) != count:
        raise InvalidImages(f"inputs[0] has {len(data)} images, expected {count} by its shape")
    return batch_of(data, body)


def _count(shape: object, max_images: int) -> int:
    if isinstance(shape, list) and len(shape) == 3 and all(type(length) is int for length in shape):
        count, *image = shape
        if count > 0 and image == [SIDE, SIDE]:
            check_count(count, max_images)
            return int(count)
    raise _invalid(f"the shape of inputs[0] must be [n, {SIDE}, {SIDE}], with n from 1 to {max_images}")


def _outputs(wanted: object) -> tuple[str, ...]:
    if wanted is None or wanted == []:
        return OUTPUTS
    if isinstance(wanted, list):
        names = [output.get("name") if isinstance(output, dict) else None for output in wanted]
        known = tuple(name for name in names if name in OUTPUTS)
        if len(set(known)) == len(names):
            return known
    raise _invalid(f"outputs must be a list of different tensors, each named one of {', '.join(OUTPUTS)}")


def _invalid(detail: str) -> Problem:
    return Problem(422, "invalid_request", detail)
