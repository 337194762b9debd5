"""Parses a request of the Open Inference Protocol V2: one tensor of images, and the names of the wanted outputs.

The tensor is in the JSON object, or follows it as bytes. Unknown parameters and keys are ignored, as the protocol
requires.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fmnist.adapters.fastapi.json_bodies import batch_of, check_count, parse_object
from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.data.images import PIXELS, SIDE, Images, images_from_bytes, images_from_floats
from fmnist.domain.model.errors import InvalidImages

INPUT = "images"
OUTPUTS = ("class_id", "probabilities")
_PIXELS = {float(pixel): pixel for pixel in range(256)}


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A parsed request.

    Attributes:
        id: the caller's own id of the request, which the answer returns.
        images: uint8 (n, 28, 28).
        outputs: whether each wanted output is sent as bytes, by its name and in the wanted order.
    """

    id: str | None
    images: Images
    outputs: Mapping[str, bool]

    @classmethod
    def parse(cls, body: bytes, tensors: memoryview, max_images: int) -> Self:
        """Read a JSON object and the bytes that follow it.

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
                return cls(request_id, _images(tensor, body, tensors, max_images), _outputs(document))
        raise _invalid(f"inputs must be a list of one tensor, whose name is {INPUT!r}")


def _images(tensor: Mapping[str, Any], body: bytes, tensors: memoryview, max_images: int) -> Images:
    datatype = tensor.get("datatype")
    if datatype not in ("UINT8", "FP32"):
        raise _invalid("the datatype of inputs[0] must be 'UINT8' or 'FP32'")
    count, data = _count(tensor.get("shape"), max_images), tensor.get("data")
    size = _parameter(tensor, "binary_data_size")
    if size is not None:
        if data is not None:
            raise _invalid("inputs[0] must have either data or the parameter binary_data_size")
        return _binary_images(tensors, size, count, is_float=datatype == "FP32")
    if tensors.nbytes:
        raise _invalid(f"{tensors.nbytes} bytes follow the JSON object, but inputs[0] has no binary_data_size")
    if not isinstance(data, list):
        raise _invalid("inputs[0] must have data, a list of pixels, or the parameter binary_data_size")
    if data and not isinstance(data[0], list):
        if len(data) != count * PIXELS:
            raise InvalidImages(f"inputs[0] has {len(data)} values, expected {count * PIXELS} by its shape")
        data = [data[start : start + PIXELS] for start in range(0, len(data), PIXELS)]
    if len(data) != count:
        raise InvalidImages(f"inputs[0] has {len(data)} images, expected {count} by its shape")
    return batch_of(_with_integers(data) if datatype == "FP32" else data, body)


def _binary_images(tensors: memoryview, size: object, count: int, *, is_float: bool) -> Images:
    expected = count * PIXELS * (4 if is_float else 1)
    if type(size) is not int or size != expected:
        raise _invalid(f"the binary_data_size of inputs[0] must be {expected} by its shape and datatype")
    if tensors.nbytes != expected:
        raise _invalid(f"{tensors.nbytes} bytes follow the JSON object, expected {expected} by binary_data_size")
    if is_float:
        return images_from_floats(np.frombuffer(tensors, "<f4").reshape(-1, SIDE, SIDE))
    return images_from_bytes(tensors)


def _with_integers(values: list[Any], levels: int = 2) -> list[Any]:
    """Return images, rows or pixels, with an integer for each float that is a pixel. JSON writes FP32 as 7 or 7.0."""
    if levels and values and isinstance(values[0], list):
        return [_with_integers(each, levels - 1) if isinstance(each, list) else each for each in values]
    return [_PIXELS.get(each, each) if type(each) is float else each for each in values]


def _count(shape: object, max_images: int) -> int:
    if isinstance(shape, list) and len(shape) == 3 and all(type(length) is int for length in shape):
        count, *image = shape
        if count > 0 and image == [SIDE, SIDE]:
            check_count(count, max_images)
            return int(count)
    raise _invalid(f"the shape of inputs[0] must be [n, {SIDE}, {SIDE}], with n from 1 to {max_images}")


def _outputs(document: Mapping[str, Any]) -> Mapping[str, bool]:
    all_binary = _flag(document, "binary_data_output", default=False)
    wanted = document.get("outputs")
    if wanted is None or wanted == []:
        return dict.fromkeys(OUTPUTS, all_binary)
    if isinstance(wanted, list) and all(isinstance(each, dict) and each.get("name") in OUTPUTS for each in wanted):
        outputs = {each["name"]: _flag(each, "binary_data", default=all_binary) for each in wanted}
        if len(outputs) == len(wanted):
            return outputs
    raise _invalid(f"outputs must be a list of different tensors, each named one of {', '.join(OUTPUTS)}")


def _parameter(owner: Mapping[str, Any], name: str) -> Any:
    parameters = owner.get("parameters")
    return parameters.get(name) if isinstance(parameters, dict) else None


def _flag(owner: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = _parameter(owner, name)
    if not isinstance(value, bool | None):
        raise _invalid(f"the parameter {name} must be true or false")
    return default if value is None else value


def _invalid(detail: str) -> Problem:
    return Problem(422, "invalid_request", detail)
