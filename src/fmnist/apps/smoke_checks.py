"""Checks of a deployed service: readiness, model, accuracy in each format, refusal of bad input, and latency."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import StoreUnavailable, UnexpectedReply
from fmnist.domain.model.promotion.policy import Rule
from fmnist.ports.data_registry import DataRegistry

if TYPE_CHECKING:
    from fmnist.apps.containers.smoke import Answers, HttpService

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
# Batches of other sizes sum in another order, which can decide a tie between two classes.
_MAX_OTHERWISE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """The checks, latencies in seconds per batch size, the models that answered, and the data version of the images."""

    checks: tuple[Rule, ...]
    latencies: tuple[dict[str, float], ...] = ()
    models: tuple[str, ...] = ()
    data_version: str | None = None

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed."""
        return [check.name for check in self.checks if not check.passed]


@dataclass(kw_only=True)
class SmokeTest:
    """Tests one service. After a failed check, the next ones still run.

    Attributes:
        registry: has the data version of the served model. Its errors are raised: they are no fault of the service.
        model_uri: the version that must be served; None means any.
        batch: the largest number of images in one request.
        has_key: whether requests carry an API key. If so, the service must refuse requests without it.
    """

    service: "HttpService"
    registry: DataRegistry
    model_uri: str | None
    images: int
    min_accuracy: float
    batch: int
    has_key: bool

    def run(self, wait: float) -> SmokeReport:
        """Wait until the service is ready, then test it. Repeat if the model changed, for at most `wait` seconds."""
        deadline = time.monotonic() + wait
        while True:
            report = self._run_once(deadline)
            if len(report.models) <= 1 or time.monotonic() >= deadline:
                return report
            logger.info("the model changed, %s: testing again", " -> ".join(report.models))

    def _run_once(self, deadline: float) -> SmokeReport:
        self._checks: list[Rule] = []
        self._latencies: list[dict[str, float]] = []
        self._models: dict[str, None] = {}  # in order of their first answer; `/info` is first
        self._answered = False
        self._first: tuple[str, list[int]] | None = None
        while not (self._check("ready", self.service.check_ready) and self._check("model", self._check_model)):
            if time.monotonic() >= deadline:
                return SmokeReport(checks=tuple(self._checks))
            self._checks.clear()
            time.sleep(_POLL_SECONDS)
        self._check("health", self._check_reload)
        dataset = self.registry.resolve(self._info.data_version)
        data = self.registry.read(dataset, "test" if "test" in dataset.splits else "val").head(self.images)
        for form in self.service.formats:
            self._check(form, partial(self._check_answers, form, data))
        self._check("bad input", partial(self.service.check_refusal, data.images[0]))
        if self.has_key:
            self._check("API key", partial(self.service.check_key, data.images[0]))
        self._check("latency", partial(self._check_latency, data.images))
        self._check("one model", self._check_one_model)
        return SmokeReport(
            checks=tuple(self._checks),
            latencies=tuple(self._latencies),
            models=tuple(self._models) if self._answered else (),
            data_version=dataset.version,
        )

    def _check(self, name: str, check: Callable[[], str]) -> bool:
        try:
            rule = Rule(name, passed=True, figures={}, reason=check())
        except (UnexpectedReply, StoreUnavailable) as error:
            rule = Rule(name, passed=False, figures={}, reason=str(error))
        self._checks.append(rule)
        return rule.passed

    def _check_model(self) -> str:
        info = self.service.info()
        failed = f"; a reload failed: {info.reload_error}" if info.reload_error else ""
        if self.model_uri not in (None, info.model_uri):
            raise UnexpectedReply(f"{info.model_uri} is served, expected {self.model_uri}{failed}")
        self._models, self._info = {info.model_uri: None}, info
        return f"{info.model_uri} is served"

    def _check_reload(self) -> str:
        info = self._info
        if info.reload_error:
            raise UnexpectedReply(f"{info.model_uri} is served, but a reload failed: {info.reload_error}")
        return "no reload failed"

    def _check_answers(self, form: str, data: LabeledImages) -> str:
        found, labels = self._ask(form, data.images, self.batch).class_ids, data.labels.tolist()
        right = sum(mine == label for mine, label in zip(found, labels, strict=True)) / len(labels)
        told = f"{right:.1%} of {len(labels)} are right"
        if right < self.min_accuracy:
            raise UnexpectedReply(f"{told}, expected at least {self.min_accuracy:.1%}")
        first, expected = self._first = self._first or (form, found)
        other = sum(mine != theirs for mine, theirs in zip(found, expected, strict=True))
        if form != "JPEG" and other > _MAX_OTHERWISE * len(found):
            raise UnexpectedReply(f"{told}, but {other} have another answer than as {first}")
        return told

    def _check_latency(self, images: Images) -> str:
        for size, requests in {1: 50, min(self.batch, len(images)): 10}.items():
            seconds = self._ask("JSON 28x28", np.concatenate([images[:size]] * requests), size).seconds
            p50, p99, longest = np.quantile(seconds, (0.5, 0.99, 1), method="inverted_cdf").tolist()
            figures = {"p50": p50, "p99": p99, "longest": longest}
            self._latencies.append({"images": size, "requests": requests, **figures})
        return ", ".join(f"{each['p50'] * 1e3:.1f} ms for {each['images']}" for each in self._latencies) + " images"

    def _check_one_model(self) -> str:
        if not self._answered:
            raise UnexpectedReply("no model answered")
        if len(self._models) > 1:
            raise UnexpectedReply(f"the model changed during the test, {' -> '.join(self._models)}: test again")
        return "gave all answers"

    def _ask(self, form: str, images: Images, batch: int) -> "Answers":
        answers = self.service.answers(form, images, batch)
        self._models.update(dict.fromkeys(answers.models))
        self._answered = True
        return answers
