"""The one model that the Open Inference Protocol finds here, by the name and version that a path holds."""

from typing import Annotated

from fastapi import Path

from fmnist.adapters.fastapi.problems import NO_MODEL, Problem
from fmnist.adapters.fastapi.serving import Serving
from fmnist.domain.services.serving.load import ServedModel

NameInPath = Annotated[
    str, Path(description="The model's name, which `/` tells.", examples=["fashion-mnist-classifier"])
]
VersionInPath = Annotated[
    str, Path(description="The version that serves, which the model's metadata tells.", examples=["1"])
]


class InferenceModel:
    """Looks the model up; its version is the number that it is registered under."""

    def __init__(self, serving: Serving, name: str) -> None:
        self._serving = serving
        self.name = name

    def find(self, name: str | None = None, version: str | None = None) -> ServedModel:
        """Return the model that serves.

        Raises:
            Problem: it is not called `name` or has not that version (404), or there is none yet (503).
        """
        if name not in (None, self.name):
            raise Problem(404, "model_not_found", f"the one model here is {self.name!r}")
        model = self._serving.status().served
        if model is None:
            raise Problem(503, "not_ready", NO_MODEL)
        check_version(model, version)
        return model


def check_version(model: ServedModel, version: str | None) -> None:
    """See that the model has the version that was asked for, where one was.

    Raises:
        Problem: it has another (404).
    """
    found = str(model.version.version)
    if version not in (None, found):
        raise Problem(404, "version_not_found", f"the one version that serves is {found!r}")
