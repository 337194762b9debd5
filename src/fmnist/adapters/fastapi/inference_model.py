"""Finds the model for the Open Inference Protocol, by the name and version in the path. There is only one."""

from typing import Annotated

from fastapi import Path

from fmnist.adapters.fastapi.problems import NO_MODEL, Problem
from fmnist.adapters.fastapi.serving import Serving
from fmnist.domain.services.serving.load import ServedModel

NameInPath = Annotated[str, Path(description="The model's name. `/` shows it.", examples=["fashion-mnist-classifier"])]
VersionInPath = Annotated[
    str, Path(description="The version that serves. The model's metadata shows it.", examples=["1"])
]


class InferenceModel:
    """Looks up the model. Its version is its registered version number."""

    def __init__(self, serving: Serving, name: str) -> None:
        self._serving = serving
        self.name = name

    def find(self, name: str | None = None, version: str | None = None) -> ServedModel:
        """Return the model that serves.

        Raises:
            Problem: it has another name or version (404), or no model serves yet (503).
        """
        if name not in (None, self.name):
            raise Problem(404, "model_not_found", f"the only model here is {self.name!r}")
        model = self._serving.status().served
        if model is None:
            raise Problem(503, "not_ready", NO_MODEL)
        check_version(model, version)
        return model


def check_version(model: ServedModel, version: str | None) -> None:
    """Check that the model has the requested version, if any.

    Raises:
        Problem: it has another version (404).
    """
    found = str(model.version.version)
    if version not in (None, found):
        raise Problem(404, "version_not_found", f"the only version that serves is {found!r}")
