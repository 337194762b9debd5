"""Checks of a service's routes that answer without pictures, and of how it refuses bad input.

Each returns in a few words what it saw, or raises `UnexpectedReply`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fmnist.domain.model.dataset import DatasetVersion
from fmnist.domain.model.endpoint import Ask, Request
from fmnist.domain.model.errors import CorruptData, UnexpectedReply
from fmnist.domain.model.images import PIXELS, Images
from fmnist.domain.model.normalization import Normalization
from fmnist.domain.model.request_bodies import INFER, PREDICT, V2_MODEL, octets, predict_json

# A refusal that grows with what was sent would let a caller fill the service's memory and log.
_MAX_REFUSAL_BYTES = 4096
_INFO_KEYS = (
    "model_uri",
    "model_uuid",
    "run_id",
    "model_signature",
    "data_version",
    "training_timestamp",
    "expected_input_shape",
    "output_classes",
    "normalization_params",
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Bad input.

    Attributes:
        statuses: that may refuse it.
        position: of the bad value, which the refusal's detail must name.
        advice: what to look at when it is not refused.
    """

    request: Request
    statuses: tuple[int, ...]
    position: str = ""
    advice: str = ""


def check_service(ask: Ask) -> str:
    """`/` names the service."""
    document = _get(ask, "/", "service", "version", "status", "docs", "health")
    return f"{document['service']} {document['version']}"


def check_live(ask: Ask) -> str:
    """`/health/live` says that the process is there, whatever it can do."""
    return f"{ask(Request('GET', '/health/live')).expect(200).status}"


def check_ready(ask: Ask) -> str:
    """`/health/ready` says that it takes requests."""
    return f"{ask(Request('GET', '/health/ready')).expect(200).status}"


def check_health(ask: Ask) -> str:
    """`/health` says that a model is loaded, and that no reload has failed since."""
    document = _get(ask, "/health", "status", "model_loaded", "model_uri", "uptime_seconds")
    if document["status"] != "healthy" or document["model_loaded"] is not True:
        raise UnexpectedReply(f"/health says 200, and status {document['status']!r}")
    if document.get("reload_error"):
        raise UnexpectedReply(f"{document['model_uri']} serves, since a reload failed: {document['reload_error']}")
    degraded = f", degraded: {document['degraded']}" if document.get("degraded") else ""
    return f"up for {document['uptime_seconds']} s{degraded}"


def read_info(ask: Ask) -> Mapping[str, Any]:
    """Return `/info`, with all that the contract promises of it."""
    info = _get(ask, "/info", *_INFO_KEYS)
    if not (isinstance(info["model_uri"], str) and isinstance(info["data_version"], str | None)):
        raise UnexpectedReply("GET /info: model_uri and data_version must be strings")
    return info


def check_data(info: Mapping[str, Any], dataset: DatasetVersion) -> str:
    """`/info` tells the classes and the normalization that the registry has for its data version."""
    params = info["normalization_params"]
    try:
        normalization = Normalization(mean=float(params["mean"]), std=float(params["std"]))
    except (CorruptData, KeyError, TypeError, ValueError) as error:
        raise UnexpectedReply(f"/info has no usable normalization_params: {error}") from error
    if not normalization.agrees_with(dataset.normalization):
        raise UnexpectedReply(f"/info has {normalization}, but {dataset.version} has {dataset.normalization}")
    classes = info["output_classes"]
    if not isinstance(classes, list) or tuple(classes) != dataset.class_names:
        raise UnexpectedReply(f"/info has other output_classes than {dataset.version}")
    return f"normalization and classes are those of {dataset.version}"


def check_v2(ask: Ask) -> str:
    """The Open Inference Protocol's routes tell of the server and the model, and say that both are ready."""
    server = _get(ask, "/v2", "name", "version", "extensions")
    model = _get(ask, f"/v2/models/{V2_MODEL}", "name", "versions", "platform", "inputs", "outputs")
    if model["name"] != V2_MODEL:
        raise UnexpectedReply(f"/v2/models/{V2_MODEL} names itself {model['name']!r}")
    for path in ("/v2/health/live", "/v2/health/ready", f"/v2/models/{V2_MODEL}/ready"):
        ask(Request("GET", path)).expect(200)
    return f"{server['name']} {server['version']}, {V2_MODEL} is ready"


def check_key(ask: Ask, image: Images) -> str:
    """Without its key, the service predicts nothing."""
    return f"{ask(replace(octets(image), authorized=False)).expect(401, 403).status} without"


def refusals(images: Images, max_images: int) -> Mapping[str, Refusal]:
    """Return what has to be refused, by name."""
    flat = images[0].ravel().tolist()
    rows = images[0].tolist()
    return {
        "pixel 256": Refusal(predict_json({"images": [_with(flat, 3, 256)]}), (400, 422), "images[0][3]"),
        "pixel -1": Refusal(
            predict_json({"images": [_with(rows, 7, _with(rows[7], 5, -1))]}), (400, 422), "images[0][7][5]"
        ),
        "decimal": Refusal(predict_json({"images": [flat, _with(flat, 0, 1.5)]}), (400, 422), "images[1][0]"),
        "short row": Refusal(predict_json({"images": [_with(rows, 27, rows[27][:-1])]}), (400, 422), "images[0][27]"),
        "no images": Refusal(predict_json({"images": []}), (400, 422)),
        "empty body": Refusal(_post(b"", "application/octet-stream"), (400, 422)),
        "half an image": Refusal(_post(bytes(PIXELS // 2), "application/octet-stream"), (400, 422)),
        "broken JSON": Refusal(_post(b'{"images": [[0, 1', "application/json"), (400, 422)),
        "broken PNG": Refusal(_post(b"\x89PNG\r\n\x1a\n", "image/png"), (400, 422)),
        "text": Refusal(_post(b"a shoe", "text/plain"), (415,)),
        "V2 without inputs": Refusal(Request("POST", INFER, b'{"inputs": []}', "application/json"), (400, 422)),
        f"{max_images + 1:,} images": Refusal(
            # What is on them does not matter.
            octets(images[:1].repeat(max_images + 1, axis=0)),
            (400, 413, 422),
            advice="set REQUEST_MAX_LENGTH here to what the service has",
        ),
    }


def check_refusal(ask: Ask, refusal: Refusal) -> str:
    """Bad input gives a 4xx with a short `detail`, `error_type` and `request_id`."""
    reply = ask(refusal.request)
    if reply.status == 200 and refusal.advice:
        raise UnexpectedReply(f"accepted: {refusal.advice}")
    reply.expect(*refusal.statuses)
    document = reply.document("detail", "error_type", "request_id")
    detail = document["detail"]
    if not isinstance(detail, str) or not detail or refusal.position not in detail:
        raise UnexpectedReply(f"{reply.status}, but its detail does not say {refusal.position or 'what is wrong'}")
    if len(reply.body) > _MAX_REFUSAL_BYTES:
        raise UnexpectedReply(f"{reply.status} of {len(reply.body)} bytes, expected at most {_MAX_REFUSAL_BYTES}")
    return f"{reply.status} {document['error_type']}"


def _with(values: list[Any], position: int, value: object) -> list[Any]:
    return [*values[:position], value, *values[position + 1 :]]


def _post(body: bytes, content_type: str) -> Request:
    return Request("POST", PREDICT, body, content_type)


def _get(ask: Ask, path: str, *keys: str) -> Mapping[str, Any]:
    return ask(Request("GET", path)).expect(200).document(*keys)
