"""A model of class means that knows toy images, and finds all other images strange."""

import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fmnist.adapters.fastapi.batches import Watch
from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.memory.classifier import MeanClassifier
from fmnist.domain.model.data.images import PIXELS, Images
from fmnist.domain.model.evaluation.card import model_card
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.traffic.sketch import Sketch, features_of
from fmnist.domain.services.prediction import Prediction
from fmnist.domain.services.serving.load import ServedModel
from fmnist.ports.model_store import ModelPackage
from fmnist.testing.data import toy_images, toy_info
from tests.integration.apps import toy_service
from tests.unit.reports import a_report

SETTINGS = replace(toy_service.SETTINGS, max_images=100, max_bytes=200_000, tracker_url="https://tracker.example")
GOLDEN = toy_images(20, seed=3).images
CARD = model_card(a_report())


class Near(MeanClassifier):
    """The largest logit of a toy image is near 16, that of another image lower."""

    def logits(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return super().logits(inputs) + np.float32(16)


def toy_model(version: int = 1) -> ServedModel:
    info = toy_info()
    means = info.normalization.apply(toy_images(10).images).reshape(10, PIXELS)
    classifier = Near(means, info, temperature=300.0)
    package = ModelPackage(
        version=ModelVersion("prod.clothes", version, "0123abcd", (), {}, time.time()),
        uuid="m-1",
        signature={},
        created=1_700_000_000.0,
        factory=lambda: classifier,
        reference=Sketch.of(features_of(GOLDEN), classifier.logits(info.normalization.apply(GOLDEN))),
        card=CARD,
        golden=GOLDEN,
    )
    return ServedModel(package, Prediction(classifier), degraded=None)


class ToyServing(toy_service.OneModel):
    """Serves a toy model. `problem` is raised instead of answers, and `seen` has the images of predictions."""

    def __init__(self) -> None:
        super().__init__(None)
        self.restore()

    def restore(self) -> None:
        self.model = toy_model()
        self.problem: Problem | None = None
        self.seen: list[Images] = []

    def check_room(self) -> None:
        if self.problem is not None:
            raise self.problem

    async def answer(
        self, images: Images, request_id: str | None = None, watch: Watch | None = None, *, is_traffic: bool = True
    ) -> tuple[ServedModel, Probabilities]:
        if is_traffic:
            self.seen.extend(images)
        return await super().answer(images, request_id, watch, is_traffic=is_traffic)
