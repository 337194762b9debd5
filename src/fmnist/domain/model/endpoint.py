"""An HTTP service as its callers meet it: what is asked, what comes back, and the predictions that are read from that.

Nothing here sends anything; whoever does is an `Ask`.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from fmnist.domain.model.errors import UnexpectedReply

_DETAIL_SHOWN = 160
_API_KEY = re.compile(r"[\x21-\x7e]+")


def is_api_key(text: str) -> bool:
    """Return whether any client can send this key: visible ASCII characters, without spaces."""
    return bool(_API_KEY.fullmatch(text))


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        path: below the service's URL, such as `/predict`.
        authorized: whether to send the API key, where there is one.
    """

    method: str
    path: str
    body: bytes = b""
    content_type: str | None = None
    authorized: bool = True

    def __str__(self) -> str:
        kind = f" ({self.content_type})" if self.content_type else ""
        return f"{self.method} {self.path}{kind}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for a request, and after how many seconds."""

    request: Request
    status: int
    body: bytes
    seconds: float

    def expect(self, *statuses: int) -> Self:
        """Return this reply.

        Raises:
            UnexpectedReply: its status is none of these; the message has what the service said of it.
        """
        if self.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            raise UnexpectedReply(f"{self.request} gave {self.status}{self._detail()}, expected {wanted}")
        return self

    def document(self, *keys: str) -> Mapping[str, Any]:
        """Return the body, a JSON object that has at least these keys.

        Raises:
            UnexpectedReply: it is none, or lacks some.
        """
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise UnexpectedReply(f"{self.request} gave no JSON object")
        missing = [key for key in keys if key not in document]
        if missing:
            raise UnexpectedReply(f"{self.request} gave no {', '.join(missing)}")
        return document

    def _detail(self) -> str:
        try:
            detail = self.document("detail")["detail"]
        except UnexpectedReply:
            return ""
        if _is_object(detail):
            # The health of a service that is not ready.
            detail = detail.get("reload_error") or detail.get("status")
        return f" ({str(detail)[:_DETAIL_SHOWN]})" if detail else ""


Ask = Callable[[Request], Reply]
"""Sends a request. Raises `StoreUnavailable` when there is no answer in time."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The classes that a service gave for some images, with their confidence in [0, 1], and the model that made them.

    `model_uri` is None for the Open Inference Protocol, which does not tell it.
    """

    class_ids: tuple[int, ...]
    confidences: tuple[float, ...]
    model_uri: str | None

    @classmethod
    def of_predict(cls, reply: Reply, count: int, class_names: Sequence[str]) -> Self:
        """Read the answer of `/predict` to `count` images.

        Raises:
            UnexpectedReply: it is not what the contract says.
        """
        document = reply.expect(200).document("predictions", "model_uri", "timestamp", "processing_time_ms")
        rows = document["predictions"]
        if not isinstance(rows, list) or len(rows) != count:
            found = len(rows) if isinstance(rows, list) else "no list of"
            raise UnexpectedReply(f"{reply.request} gave {found} predictions for {count} images")
        for position, row in enumerate(rows):
            if not (_is_object(row) and _is_class(row.get("class_id"), row.get("class_name"), class_names)):
                raise UnexpectedReply(
                    f"{reply.request}: predictions[{position}] has no class_id and class_name of a class"
                )
        confidences = _probabilities([row.get("confidence") for row in rows], reply, "confidence")
        return cls(tuple(row["class_id"] for row in rows), confidences, str(document["model_uri"]))

    @classmethod
    def of_infer(cls, reply: Reply, count: int, class_names: Sequence[str]) -> Self:
        """Read the answer of the Open Inference Protocol to `count` images.

        Raises:
            UnexpectedReply: it lacks `class_id` [n] or `probabilities` [n, classes], or they contradict each other.
        """
        listed = reply.expect(200).document("model_name", "outputs")["outputs"]
        outputs = [each for each in listed if _is_object(each)] if isinstance(listed, list) else []
        width = len(class_names)
        class_ids = _tensor(outputs, "class_id", [count], reply)
        values = _probabilities(_tensor(outputs, "probabilities", [count, width], reply), reply, "probabilities")
        rows = [values[start : start + width] for start in range(0, len(values), width)]
        best = [max(row) for row in rows]
        for position, (label, row) in enumerate(zip(class_ids, rows, strict=True)):
            if type(label) is not int or not 0 <= label < width or row[label] != best[position]:
                raise UnexpectedReply(f"{reply.request}: class_id[{position}] is not the most probable class")
        return cls(tuple(class_ids), tuple(best), None)

    def head(self, count: int) -> "Answers":
        """Return the answers to the first `count` images."""
        return Answers(self.class_ids[:count], self.confidences[:count], self.model_uri)

    def only(self, position: int) -> "Answers":
        """Return the answer to one image."""
        return Answers(
            self.class_ids[position : position + 1], self.confidences[position : position + 1], self.model_uri
        )

    def difference(self, other: "Answers", tolerance: float) -> str | None:
        """Say in what these answers to the same images differ from `other`; None when they are the same."""
        for position, pair in enumerate(zip(self.class_ids, other.class_ids, strict=True)):
            if pair[0] != pair[1]:
                return f"image {position} is class {pair[0]}, and class {pair[1]}"
        gaps = [abs(mine - theirs) for mine, theirs in zip(self.confidences, other.confidences, strict=True)]
        if max(gaps) > tolerance:
            return f"confidence of image {gaps.index(max(gaps))} differs by {max(gaps):.2g}"
        return None


def _tensor(outputs: Sequence[Mapping[str, Any]], name: str, shape: list[int], reply: Reply) -> list[Any]:
    output = next((each for each in outputs if each.get("name") == name), {})
    data = output.get("data")
    if output.get("shape") != shape or not isinstance(data, list):
        raise UnexpectedReply(f"{reply.request} gave no output {name!r} of shape {shape}")
    flat = [value for row in data for value in (row if isinstance(row, list) else [row])]
    if len(flat) != math.prod(shape):
        raise UnexpectedReply(f"{reply.request}: output {name!r} has {len(flat)} values, its shape says {shape}")
    return flat


def _probabilities(values: Sequence[Any], reply: Reply, name: str) -> tuple[float, ...]:
    if not all(type(value) in (int, float) and 0 <= value <= 1 for value in values):
        raise UnexpectedReply(f"{reply.request}: {name} must be numbers in [0, 1]")
    return tuple(map(float, values))


def _is_class(label: object, name: object, class_names: Sequence[str]) -> bool:
    return type(label) is int and 0 <= label < len(class_names) and name == class_names[label]


def _is_object(value: object) -> bool:
    return isinstance(value, dict)
