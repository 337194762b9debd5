"""The binary tensor extension of the Open Inference Protocol. `test_tritonclient` uses it with Triton's own client."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.adapters.fastapi.binary_tensors import split_body
from fmnist.adapters.fastapi.inference_request import InferenceRequest
from tests.unit.adapters.fastapi.support import INFER, GreyServing, Reply, Service, Untouchable, greys

OCTETS = "application/octet-stream"
DTYPES = {"UINT8": "u1", "FP32": "<f4"}
BINARY, TEXT = {"parameters": {"binary_data": True}}, {"parameters": {"binary_data": False}}
MUST = "must be an integer 0-255, found"


def packed(images: Any, datatype: str = "UINT8") -> bytes:
    return np.asarray(images, DTYPES[datatype]).tobytes()


def document(datatype: str = "UINT8", count: int = 1, size: Any = None, **changes: Any) -> dict[str, Any]:
    """A request with one binary tensor. `changes` are the request's own keys."""
    size = count * 784 * np.dtype(DTYPES[datatype]).itemsize if size is None else size
    tensor = {"name": "images", "datatype": datatype, "shape": [count, 28, 28]}
    return {"inputs": [{**tensor, "parameters": {"binary_data_size": size}}], **changes}


def ask(service: Service, asked: Any, tail: bytes = b"", content_type: str | None = OCTETS, **headers: str) -> Reply:
    head = json.dumps(asked).encode()
    headers.setdefault("inference_header_content_length", str(len(head)))
    return service.post(INFER, head + tail, content_type, **headers)


def outputs_of(reply: Reply) -> dict[str, Any]:
    """The outputs as a client of the extension reads them: arrays by name, and the kind that each was sent as."""
    assert reply.status == 200, reply.body
    end = int(reply.headers.get("inference-header-content-length", len(reply.body)))
    head, tail = json.loads(reply.body[:end]), reply.body[end:]
    assert reply.headers["content-type"] == (OCTETS if tail else "application/json")
    found = {}
    for output in head["outputs"]:
        dtype = {"INT64": "<i8", "FP32": "<f4"}[output["datatype"]]
        if "parameters" in output:
            assert "data" not in output
            size = output["parameters"]["binary_data_size"]
            values, tail = np.frombuffer(tail[:size], dtype), tail[size:]
        else:
            values = np.array(output["data"], dtype)
        found[output["name"]] = ("binary" if "parameters" in output else "JSON", values.reshape(output["shape"]))
    assert tail == b""
    return found


@pytest.mark.parametrize("datatype", DTYPES)
@pytest.mark.parametrize("content_type", [OCTETS, "application/json", None])
def test_binary_images_are_answered(
    service: Service, serving: GreyServing, datatype: str, content_type: str | None
) -> None:
    images = greys(4, 7)
    asked = document(datatype, 2, id="mine", parameters={"binary_data_output": True})
    reply = ask(service, asked, packed(images, datatype), content_type)
    outputs = outputs_of(reply)
    assert {name: kind for name, (kind, _) in outputs.items()} == {"class_id": "binary", "probabilities": "binary"}
    assert outputs["class_id"][1].tolist() == [4, 7]
    assert serving.model is not None
    np.testing.assert_array_equal(outputs["probabilities"][1], serving.model.prediction.probabilities(images))
    head = json.loads(reply.body[: int(reply.headers["inference-header-content-length"])])
    assert (head["id"], head["model_version"]) == ("mine", "3")


@pytest.mark.parametrize(
    ("all_binary", "wanted", "kinds"),
    [
        (None, None, {"class_id": "JSON", "probabilities": "JSON"}),
        (False, None, {"class_id": "JSON", "probabilities": "JSON"}),
        (True, [], {"class_id": "binary", "probabilities": "binary"}),
        (None, [{"name": "probabilities", **BINARY}], {"probabilities": "binary"}),
        (True, [{"name": "class_id"}], {"class_id": "binary"}),
        (
            None,
            [{"name": "probabilities", **BINARY}, {"name": "class_id"}],
            {"probabilities": "binary", "class_id": "JSON"},
        ),
        (
            True,
            [{"name": "class_id", **TEXT}, {"name": "probabilities"}],
            {"class_id": "JSON", "probabilities": "binary"},
        ),
    ],
)
@pytest.mark.parametrize("is_binary", [True, False])
def test_each_output_is_sent_as_it_was_requested(
    service: Service, all_binary: bool | None, wanted: Any, kinds: dict[str, str], is_binary: bool
) -> None:
    changes = {"outputs": wanted, "parameters": {"binary_data_output": all_binary}}
    asked, tail = document(**changes), packed(greys(6))
    if not is_binary:
        asked["inputs"][0].update(data=greys(6).tolist(), parameters={})
        tail = b""
    outputs = outputs_of(ask(service, asked, tail))
    assert {name: kind for name, (kind, _) in outputs.items()} == kinds
    assert list(outputs) == list(kinds)
    assert all(
        values.argmax() == 6 if name == "probabilities" else values == 6 for name, (_, values) in outputs.items()
    )


@pytest.mark.parametrize(
    ("asked", "tail", "detail"),
    [
        *(
            (document(size=size), bytes(784), "the binary_data_size of inputs[0] must be 784 by its shape and datatype")
            for size in (0, -784, 783, 3136, 10**30, 784.0, True, "784", [784], {})
        ),
        (
            document("FP32", size=784),
            bytes(784),
            "the binary_data_size of inputs[0] must be 3136 by its shape and datatype",
        ),
        (document(), bytes(785), "785 bytes follow the JSON object, expected 784 by binary_data_size"),
        (document(), b"", "0 bytes follow the JSON object, expected 784 by binary_data_size"),
        (
            {"inputs": [{**document()["inputs"][0], "data": [0] * 784}]},
            bytes(784),
            "inputs[0] must have either data or the parameter binary_data_size",
        ),
        (
            {"inputs": [{**document()["inputs"][0], "data": [0] * 784, "parameters": {}}]},
            bytes(784),
            "784 bytes follow the JSON object, but inputs[0] has no binary_data_size",
        ),
        (
            document(parameters={"binary_data_output": "yes"}),
            bytes(784),
            "the parameter binary_data_output must be true or false",
        ),
        (
            document(outputs=[{"name": "class_id", "parameters": {"binary_data": 1}}]),
            bytes(784),
            "the parameter binary_data must be true or false",
        ),
    ],
)
def test_bytes_that_do_not_match_the_json_are_refused_with_a_reason(
    service: Service, serving: GreyServing, asked: Any, tail: bytes, detail: str
) -> None:
    reply = ask(service, asked, tail)
    assert reply.problem == (422, "invalid_request")
    assert reply.detail == reply.json()["error"] == detail
    assert serving.asked == 0


@pytest.mark.parametrize("length", ["", "x", "-1", "1.5", "²", "9" * 5000, "99999"])
def test_a_wrong_length_of_the_json_is_refused_with_a_reason(service: Service, length: str) -> None:
    reply = ask(service, document(), bytes(784), inference_header_content_length=length)
    assert reply.problem == (400, "malformed_header")
    assert "Inference-Header-Content-Length must be a number of bytes, at most the " in reply.detail


@pytest.mark.parametrize(("length", "kind"), [("0", "malformed_json"), ("10", "malformed_json")])
def test_a_length_that_cuts_the_json_is_refused(service: Service, length: str, kind: str) -> None:
    assert ask(service, document(), bytes(784), inference_header_content_length=length).problem == (400, kind)


def test_bytes_without_the_length_of_the_json_are_refused_with_what_to_do(service: Service) -> None:
    reply = service.post(INFER, json.dumps(document()).encode() + bytes(784), OCTETS)
    assert reply.problem == (400, "malformed_header")
    assert "needs the header Inference-Header-Content-Length" in reply.detail
    assert service.post(INFER, json.dumps(document()).encode() + bytes(784)).problem == (400, "malformed_json")


def test_another_content_type_is_refused_with_what_to_do(service: Service) -> None:
    reply = ask(service, document(), bytes(784), "text/plain")
    assert reply.problem == (415, "unsupported_media_type")
    assert reply.detail == "content-type must be application/json, or application/octet-stream with binary tensors"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (7.5, "a decimal number"),
        (-1, "-1"),
        (256, "256"),
        (1e30, "an integer far outside this range"),
        (np.nan, "a number that is not finite"),
        (-np.inf, "a number that is not finite"),
    ],
)
def test_a_float_that_is_no_pixel_is_refused_with_its_position(service: Service, value: float, found: str) -> None:
    images = greys(1, 2).astype(np.float32)
    images[1, 2, 3] = images[1, 4, 5] = value
    reply = ask(service, document("FP32", 2), packed(images, "FP32"))
    assert reply.problem == (422, "invalid_images")
    assert reply.detail == f"images[1][2][3] {MUST} {found}"


def test_limits_hold_for_binary_tensors(service: Service) -> None:
    reply = ask(service, document(count=1001), bytes(1001 * 784))
    assert reply.problem == (422, "invalid_images")
    assert reply.detail == "1001 images, expected at most 1000 in one request: send them in several"
    headers = {"content_length": str(2**30), "inference_header_content_length": "100", "content_type": OCTETS}
    assert service.request("POST", INFER, Untouchable(), **headers).problem == (413, "body_too_large")
    assert outputs_of(ask(service, document("FP32", 1000), bytes(1000 * 3136)))["class_id"][1].shape == (1000,)


@given(
    labels=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    pixels=st.lists(st.integers(0, 255), min_size=28, max_size=28),
    datatype=st.sampled_from(list(DTYPES)),
    flat=st.booleans(),
    changes=st.fixed_dictionaries(
        {},
        optional={
            "id": st.text(max_size=5),
            "outputs": st.permutations([{"name": "class_id", **BINARY}, {"name": "probabilities", **TEXT}]),
            "parameters": st.fixed_dictionaries({}, optional={"binary_data_output": st.booleans()}),
        },
    ),
)
def test_a_binary_request_means_what_the_equal_json_request_means(
    labels: list[int], pixels: list[int], datatype: str, flat: bool, changes: dict[str, Any]
) -> None:
    images = greys(*labels)
    images[-1, 9] = pixels
    values = images.astype(DTYPES[datatype])
    asked = document(datatype, len(labels), **changes)
    head = json.dumps(asked).encode()
    binary = InferenceRequest.parse(*split_body(head + values.tobytes(), str(len(head))), 1000)
    asked["inputs"][0].update(data=(values.ravel() if flat else values).tolist(), parameters={})
    text = InferenceRequest.parse(*split_body(json.dumps(asked).encode(), None), 1000)
    np.testing.assert_array_equal(binary.images, images)
    np.testing.assert_array_equal(text.images, images)
    assert binary.images.dtype == text.images.dtype == np.uint8
    assert binary.id == text.id
    assert list(binary.outputs.items()) == list(text.outputs.items())


ODD = st.none() | st.booleans() | st.integers(-1, 3137) | st.sampled_from([784, 3136, 7.5, "x"]) | st.lists(st.none())
PARAMETERS = st.dictionaries(st.sampled_from(["binary_data", "binary_data_size", "binary_data_output"]), ODD) | ODD


@given(
    tensor=st.fixed_dictionaries(
        {"name": st.just("images"), "datatype": st.sampled_from([*DTYPES, "BYTES"]), "shape": st.just([1, 28, 28])},
        optional={"data": ODD, "parameters": PARAMETERS},
    ),
    changes=st.fixed_dictionaries(
        {}, optional={"parameters": PARAMETERS, "outputs": st.just([{"name": "class_id"}]) | st.lists(PARAMETERS)}
    ),
    tail=st.sampled_from([b"", bytes(784), bytes(3136), b"\xff" * 3136]) | st.binary(max_size=50),
    length=st.none() | st.integers(0, 5000).map(str) | st.text("0123456789-x ", max_size=5),
)
def test_any_binary_request_gets_an_answer(
    service: Service, tensor: Any, changes: dict[str, Any], tail: bytes, length: str | None
) -> None:
    headers = {} if length is None else {"inference_header_content_length": length}
    reply = ask(service, {"inputs": [tensor], **changes}, tail, **headers)
    assert reply.status == 200 or 400 <= reply.problem[0] < 500


@given(raw=st.binary(min_size=3136, max_size=3136))
def test_any_floats_get_an_answer(service: Service, raw: bytes) -> None:
    reply = ask(service, document("FP32"), raw)
    assert reply.status == 200 or reply.problem == (422, "invalid_images")
