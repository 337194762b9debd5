"""The Open Inference Protocol V2 as its clients use it, in JSON. `test_binary_tensors` has the binary extension."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.adapters.fastapi.support import INFER, GreyServing, Service, grey_model, greys

MODEL = "/v2/models/fashion-mnist-classifier"


def tensor(images: Any, **changes: Any) -> dict[str, Any]:
    return {
        "name": "images",
        "datatype": "UINT8",
        "shape": list(images.shape),
        "data": images.tolist(),
        **changes,
    }


def request(images: Any = None, **changes: Any) -> dict[str, Any]:
    return {"inputs": [tensor(greys(4) if images is None else images)], **changes}


BAD_INPUTS = [
    {},
    {"inputs": []},
    {"inputs": {"secret": 1}},
    {"inputs": [tensor(greys(1)), tensor(greys(1))]},
    {"inputs": [tensor(greys(1), name="secret")]},
    {"inputs": [tensor(greys(1), name=None)]},
]
MUST = "must be an integer 0-255, found"
BAD_SHAPES = (None, [], [1, 784], [1, 1, 28, 28], [0, 28, 28], [-1, 28, 28], [True, 28, 28], [1.0, 28, 28], "x")
BAD_OUTPUTS = (["class_id"], [{}], [{"name": "secret"}], [{"name": ["x"]}], {}, "x", [{"name": "class_id"}] * 2)


def test_server_metadata(service: Service) -> None:
    assert service.get("/v2").json() == {"name": "fmnist", "version": "1.2.3", "extensions": ["binary_tensor_data"]}
    assert service.get("/v2/health/live").json() == {"live": True}
    assert service.get("/v2/health/ready").json() == {"ready": True}


@pytest.mark.parametrize("path", [MODEL, f"{MODEL}/versions/3"])
def test_model_metadata(service: Service, path: str) -> None:
    assert service.get(path).json() == {
        "name": "fashion-mnist-classifier",
        "versions": ["3"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28]}],
        "outputs": [
            {"name": "class_id", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
        ],
    }
    assert service.get(f"{path}/ready").json() == {"name": "fashion-mnist-classifier", "ready": True}


def test_another_model_or_version_is_not_found(service: Service) -> None:
    for path in ("/v2/models/secret", "/v2/models/secret/ready", "/v2/models/secret/versions/3"):
        reply = service.get(path)
        assert reply.problem == (404, "model_not_found")
        assert "secret" not in reply.detail
    for version in ("2", "03", "latest", "-1", "3.0"):
        for path in (f"{MODEL}/versions/{version}", f"{MODEL}/versions/{version}/ready"):
            assert service.get(path).problem == (404, "version_not_found")
        infer = service.post(f"{MODEL}/versions/{version}/infer", json.dumps(request()).encode())
        assert infer.problem == (404, "version_not_found")
    assert service.post("/v2/models/secret/infer", b"").problem == (404, "model_not_found")


def test_without_a_model_the_server_is_live_but_not_ready() -> None:
    service = Service(GreyServing())
    assert service.get("/v2/health/live").status == 200
    for path in ("/v2/health/ready", MODEL, f"{MODEL}/ready", f"{MODEL}/versions/3/ready"):
        assert service.get(path).problem == (503, "not_ready")
    assert service.infer(request()).problem == (503, "not_ready")


@pytest.mark.parametrize("path", [INFER, f"{MODEL}/versions/3/infer"])
@pytest.mark.parametrize("flat", [True, False])
def test_images_are_answered_as_tensors(service: Service, serving: GreyServing, path: str, flat: bool) -> None:
    images = greys(4, 7)
    data = images.ravel().tolist() if flat else images.tolist()
    reply = service.post(path, json.dumps({"id": "mine", "inputs": [tensor(images, data=data)]}).encode())
    assert reply.status == 200
    document = reply.json()
    class_id, probabilities = document.pop("outputs")
    parameters = {"model_uri": "models:/dev.greys/3"}
    name = "fashion-mnist-classifier"
    assert document == {"model_name": name, "model_version": "3", "parameters": parameters, "id": "mine"}
    assert class_id == {"name": "class_id", "datatype": "INT64", "shape": [2], "data": [4, 7]}
    assert serving.model is not None
    expected = serving.model.prediction.probabilities(images)
    np.testing.assert_allclose(probabilities.pop("data"), expected.ravel(), rtol=1e-6)
    assert probabilities == {"name": "probabilities", "datatype": "FP32", "shape": [2, 10]}


def test_a_default_answer_has_these_bytes(service: Service) -> None:
    reply = service.infer({"id": "7", **request(outputs=[{"name": "class_id"}])})
    assert reply.body == (
        b'{"model_name":"fashion-mnist-classifier","model_version":"3",'
        b'"parameters":{"model_uri":"models:/dev.greys/3"},'
        b'"outputs":[{"name":"class_id","datatype":"INT64","shape":[1],"data":[4]}],"id":"7"}'
    )
    assert reply.headers["content-type"] == "application/json"
    assert "inference-header-content-length" not in reply.headers


def test_no_id_is_returned_if_the_request_has_none(service: Service) -> None:
    assert "id" not in service.infer(request()).json()
    assert service.infer(request(id="")).json()["id"] == ""


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        ([{"name": "class_id"}], ["class_id"]),
        (
            [{"name": "probabilities", "parameters": {"classification": 3}}, {"name": "class_id"}],
            ["probabilities", "class_id"],
        ),
        ([], ["class_id", "probabilities"]),
        (None, ["class_id", "probabilities"]),
    ],
)
def test_only_the_requested_outputs_are_returned(service: Service, outputs: Any, names: list[str]) -> None:
    reply = service.infer(request(outputs=outputs))
    assert [output["name"] for output in reply.json()["outputs"]] == names


def test_unknown_parameters_are_ignored(service: Service) -> None:
    document = request(parameters={"priority": 1}, unknown=[1])
    document["inputs"][0]["parameters"] = {"content_type": "np"}
    assert service.infer(document).status == 200


def test_a_requested_version_is_never_answered_by_another_version(service: Service, serving: GreyServing) -> None:
    def reload() -> None:
        serving.model = grey_model(4)

    serving.before_answer = reload
    reply = service.post(f"{MODEL}/versions/3/infer", json.dumps(request()).encode())
    assert reply.problem == (404, "version_not_found")
    serving.model = grey_model(3)
    assert service.infer(request()).json()["model_version"] == "4"


def test_json_without_a_content_type_is_accepted(service: Service) -> None:
    assert service.post(INFER, json.dumps(request()).encode(), None).status == 200


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        ([], "the body must be a JSON object"),
        *((document, "inputs must be a list of one tensor, whose name is 'images'") for document in BAD_INPUTS),
        (request(id=7), "id must be a string"),
        ({"inputs": [tensor(greys(1), datatype="INT8")]}, "the datatype of inputs[0] must be 'UINT8' or 'FP32'"),
        (
            {"inputs": [tensor(greys(1), data=None)]},
            "inputs[0] must have data, a list of pixels, or the parameter binary_data_size",
        ),
        *(
            (
                request(outputs=outputs),
                "outputs must be a list of different tensors, each named one of class_id, probabilities",
            )
            for outputs in BAD_OUTPUTS
        ),
        *(
            (
                {"inputs": [tensor(greys(1), shape=shape)]},
                "the shape of inputs[0] must be [n, 28, 28], with n from 1 to 1000",
            )
            for shape in BAD_SHAPES
        ),
    ],
)
def test_a_request_that_breaks_the_protocol_is_refused_with_a_reason(
    service: Service, document: Any, detail: str
) -> None:
    reply = service.infer(document)
    assert reply.problem == (422, "invalid_request" if isinstance(document, dict) else "invalid_body")
    assert reply.detail == reply.json()["error"] == detail


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"shape": [2, 28, 28]}, "inputs[0] has 1 images, expected 2 by its shape"),
        ({"data": [0] * 783}, "inputs[0] has 783 values, expected 784 by its shape"),
        ({"data": []}, "inputs[0] has 0 images, expected 1 by its shape"),
        ({"shape": [1001, 28, 28]}, "1001 images, expected at most 1000 in one request: send them in several"),
        ({"data": [0] * 700 + [True] + [0] * 83}, "images[0][700] must be an integer 0-255, found a boolean"),
        ({"data": [0] * 783 + [256]}, "images[0][783] must be an integer 0-255, found 256"),
        ({"data": [[[0] * 28] * 27 + [[0] * 27]]}, "images[0][27] has 27 values, expected 28"),
        ({"data": ["secret"] * 784}, "images[0][0] must be an integer 0-255, found a string"),
        ({"data": [7.0] * 784}, "images[0][0] must be an integer 0-255, found a decimal number"),
        *(
            ({"datatype": "FP32", "data": [7.0] * 700 + [value] + [0] * 83}, f"images[0][700] {MUST} {found}")
            for value, found in (
                (7.5, "a decimal number"),
                (-1.0, "a decimal number"),
                (256, "256"),
                (1e300, "a number far outside this range"),
                (True, "a boolean"),
            )
        ),
    ],
)
def test_a_tensor_that_does_not_match_its_shape_is_refused_with_a_reason(
    service: Service, changes: dict[str, Any], detail: str
) -> None:
    reply = service.infer({"inputs": [tensor(greys(1), **changes)]})
    assert reply.problem == (422, "invalid_images")
    assert reply.detail == detail


def test_deeply_nested_pixels_are_refused(service: Service) -> None:
    deep: Any = [7.0]
    for _ in range(900):
        deep = [deep]
    assert service.infer({"inputs": [tensor(greys(1), datatype="FP32", data=deep)]}).problem == (422, "invalid_images")


def test_malformed_json_gets_an_error_in_the_protocol_s_form(service: Service) -> None:
    reply = service.post(INFER, b"{")
    assert reply.problem == (400, "malformed_json")
    assert reply.json()["error"] == reply.detail


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


DOCUMENTS = st.fixed_dictionaries(
    {"inputs": JSON_VALUES | st.lists(st.dictionaries(st.sampled_from(list(tensor(greys(1)))), JSON_VALUES))},
    optional={"id": JSON_VALUES, "outputs": JSON_VALUES, "parameters": JSON_VALUES},
)


@given(document=DOCUMENTS)
def test_any_json_document_gets_an_answer(service: Service, document: Any) -> None:
    assert 400 <= service.infer(document).problem[0] < 500


def test_a_canary_may_answer_unless_a_version_is_requested(service: Service, serving: GreyServing) -> None:
    body = json.dumps(request()).encode()
    for path in (INFER, f"{MODEL}/versions/3/infer"):
        assert service.post(path, body, **{"x-request-id": "mine"}).status == 200
    assert serving.request_ids == ["mine", None]
