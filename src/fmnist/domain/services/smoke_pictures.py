"""Checks of a service that send pictures: how many it gets right, that every format is answered alike, and how fast."""

from collections.abc import Callable, Sequence
from functools import partial

from fmnist.domain.model import request_bodies
from fmnist.domain.model.dataset import LabeledImages
from fmnist.domain.model.endpoint import Answers, Ask, Reply, Request
from fmnist.domain.model.errors import UnexpectedReply
from fmnist.domain.model.images import Images
from fmnist.domain.model.request_bodies import RequestOf
from fmnist.domain.model.smoke_report import Checks, Latency, SmokePlan

EncodePicture = Callable[[Images, str], bytes]
"""Writes one image, uint8 (28, 28), as a file of the format `PNG` or `JPEG`."""

_BATCHES = (1, 2, 16, 100)
_PICTURES = 3
# Batches of other sizes add up in another order.
_TOLERANCE = 1e-4


class PictureChecks:
    """Sends the images of a split to one service, and remembers which models answered."""

    def __init__(
        self, ask: Ask, encode: EncodePicture, plan: SmokePlan, class_names: Sequence[str], data: LabeledImages
    ) -> None:
        self._ask = ask
        self._encode = encode
        self._plan = plan
        self._class_names = class_names
        self._data = data
        self._batches = [size for size in _BATCHES if size <= min(plan.max_images, len(data))]
        self._models: dict[str, None] = {}

    @property
    def models(self) -> tuple[str, ...]:
        """The model URIs that answered, in the order of their first answer."""
        return tuple(self._models)

    def run(self, checks: Checks, split: str) -> None:
        """Check accuracy, and each format against the answers that it was measured by."""
        expected = checks.run(
            "answers", self._answer_all, lambda answers: f"to {len(answers.class_ids)} {split} images"
        )
        if expected is None:
            return
        checks.run("accuracy", partial(self._check_accuracy, expected))
        for name, request_of in request_bodies.PREDICT_FORMATS.items():
            checks.run(name, partial(self._check_format, request_of, expected))
        checks.run("V2 infer", partial(self._check_infer, expected))
        checks.run("PNG", partial(self._check_pictures, "PNG", expected))
        # It changes pixels, so it is answered, and not necessarily alike.
        checks.run("JPEG", partial(self._check_pictures, "JPEG", None))

    def latencies(self) -> tuple[Latency, ...]:
        """Time JSON requests of one image, and of as many as the largest batch has."""
        counts = {1: self._plan.timed_requests, self._batches[-1]: max(1, self._plan.timed_requests // 5)}
        return tuple(
            Latency.of(size, [self._predict(request_bodies.json_nested, size)[0].seconds for _ in range(count)])
            for size, count in counts.items()
        )

    def check_models(self) -> str:
        """One model has to have given all of the answers, or they could not be compared."""
        if not self._models:
            raise UnexpectedReply("no model answered")
        if len(self._models) > 1:
            raise UnexpectedReply(f"{', then '.join(self._models)}: it was reloaded meanwhile, so test it again")
        return "gave all answers"

    def _answer_all(self) -> Answers:
        images, size = self._data.images, self._batches[-1]
        pieces = [
            self._read_predict(self._ask(request_bodies.octets(piece)), len(piece))
            for piece in (images[start : start + size] for start in range(0, len(images), size))
        ]
        return Answers(
            tuple(label for piece in pieces for label in piece.class_ids),
            tuple(confidence for piece in pieces for confidence in piece.confidences),
            pieces[0].model_uri,
        )

    def _check_accuracy(self, answers: Answers) -> str:
        labels = self._data.labels.tolist()
        right = sum(found == label for found, label in zip(answers.class_ids, labels, strict=True))
        told = f"{right / len(labels):.1%} of {len(labels)} are right"
        if right < self._plan.min_accuracy * len(labels):
            raise UnexpectedReply(f"{told}, expected at least {self._plan.min_accuracy:.1%}")
        return told

    def _check_format(self, request_of: RequestOf, expected: Answers) -> str:
        for size in self._batches:
            _, answers = self._predict(request_of, size)
            self._compare(answers, expected, size)
        return self._same()

    def _check_infer(self, expected: Answers) -> str:
        for size in self._batches:
            reply = self._ask(request_bodies.infer(self._data.images[:size]))
            self._compare(Answers.of_infer(reply, size, self._class_names), expected, size)
        return self._same()

    def _check_pictures(self, picture_format: str, expected: Answers | None) -> str:
        count = min(_PICTURES, len(self._data))
        for position, image in enumerate(self._data.images[:count]):
            body = self._encode(image, picture_format)
            request = Request("POST", request_bodies.PREDICT, body, f"image/{picture_format.lower()}")
            answers = self._read_predict(self._ask(request), 1)
            if expected is not None:
                self._compare(answers, expected.only(position), 1)
        return f"{count} pictures" + (", answered alike" if expected else "")

    def _predict(self, request_of: RequestOf, size: int) -> tuple[Reply, Answers]:
        reply = self._ask(request_of(self._data.images[:size]))
        return reply, self._read_predict(reply, size)

    def _read_predict(self, reply: Reply, count: int) -> Answers:
        answers = Answers.of_predict(reply, count, self._class_names)
        self._models[str(answers.model_uri)] = None
        return answers

    def _compare(self, answers: Answers, expected: Answers, size: int) -> None:
        difference = answers.difference(expected.head(size), _TOLERANCE)
        if difference:
            raise UnexpectedReply(f"a batch of {size} is answered otherwise than as octet-stream: {difference}")

    def _same(self) -> str:
        return f"batches of {', '.join(map(str, self._batches))}, answered alike"
