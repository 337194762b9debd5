"""A Serve config or RayService manifest pointed at a model. What it does not have to change stays, to the character.

Looking up and changing are apart: a file that cannot be used is refused before a promotion changes anything.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from fmnist.adapters.yaml.round_trip import RoundTrip
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable
from fmnist.domain.model.files import read_file
from fmnist.domain.model.text import words_of

_MOST_BYTES = 1_000_000
_DEPLOYMENT = "FashionMNISTClassifier"


class ServingManifest:
    """The file at `path`, read and understood.

    Raises:
        InvalidSetting: no such file, no YAML, or nothing in it that serves our model.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._text = read_file(path, _MOST_BYTES).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSetting(f"manifest {path} cannot be read: {error}") from error
        self.pointed_at("models:/check/1")

    def model_uri(self) -> str | None:
        """Return which model the file serves, as its first deployment or application says; None where none does."""
        configs = [config for part in RoundTrip(self._text).parts() for config in _configs(part)]
        return next((uri for config in configs for uri in _models(config)), None)

    def point_at(self, model_uri: str, image: str | None = None) -> bool:
        """Have the file serve this model, in this image where one is given, and return whether that was a change.

        The file is replaced whole: a reader sees the old one or the new one.

        Raises:
            InvalidSetting: no container of the file runs an image of that name.
            StoreUnavailable: the file cannot be written.
        """
        text = self.pointed_at(model_uri, image)
        if text == self._text:
            return False
        try:
            _replace(self._path.resolve(), text)
        except OSError as error:
            raise StoreUnavailable(f"manifest {self._path} cannot be written: {error}") from error
        self._text = text
        return True

    def pointed_at(self, model_uri: str, image: str | None = None) -> str:
        """Return what the file would be; raises `InvalidSetting` as `point_at` does."""
        try:
            document = RoundTrip(self._text)
            serving = [each for each in document.parts() if self._point(document, each, model_uri, image)]
            if serving:
                return document.text()
        except YAMLError as error:
            raise InvalidSetting(f"manifest {self._path} is no YAML: {words_of(error)}") from error
        raise InvalidSetting(
            f"manifest {self._path} serves no model of ours: expected a Serve config with a deployment {_DEPLOYMENT} "
            "(or one with user_config.model_uri) under applications, or a RayService with one in spec.serveConfigV2"
        )

    def _point(self, document: RoundTrip, part: Any, model_uri: str, image: str | None) -> bool:
        """Change one part in place, and return whether it is one that serves our model."""
        if not isinstance(part, dict):
            return False
        if part.get("kind") != "RayService":
            return _point_config(document, part, model_uri)
        spec = part.get("spec")
        if not isinstance(spec, dict) or not isinstance(spec.get("serveConfigV2"), str):
            return False
        config = RoundTrip(spec["serveConfigV2"])
        if not any(_point_config(config, each, model_uri) for each in config.parts()):
            return False
        document.set_block(spec, "serveConfigV2", config.text())
        if image is not None:
            self._point_image(document, spec, image)
        return True

    def _point_image(self, document: RoundTrip, spec: Any, image: str) -> None:
        """Set the image of every container that runs another tag of it."""
        containers = [each for each in _containers(spec) if isinstance(each.get("image"), str)]
        ours = [each for each in containers if _repository(each["image"]) == _repository(image)]
        if not ours:
            there = ", ".join(each["image"] for each in containers) or "none"
            raise InvalidSetting(
                f"manifest {self._path} has no container of the image {_repository(image)}: it has {there}"
            )
        for container in ours:
            document.set(container, "image", image)


def _configs(part: Any) -> list[Any]:
    """The Serve configs that a document has: in a RayService, or as what it is itself."""
    spec = part.get("spec") if isinstance(part, dict) and part.get("kind") == "RayService" else None
    config = spec.get("serveConfigV2") if isinstance(spec, dict) else None
    return RoundTrip(config).parts() if isinstance(config, str) else [part]


def _models(config: Any) -> Iterator[str]:
    """The models that a Serve config names, first the one that counts: a user_config overrules arguments."""
    for application in _mappings(config, "applications"):
        user_configs = [deployment.get("user_config") for deployment in _mappings(application, "deployments")]
        for holder in [*user_configs, application.get("args")]:
            if isinstance(holder, dict) and isinstance(holder.get("model_uri"), str):
                yield str(holder["model_uri"])


def _point_config(document: RoundTrip, config: Any, model_uri: str) -> bool:
    found = False
    for application in _mappings(config, "applications"):
        arguments = application.get("args")
        if isinstance(arguments, dict) and "model_uri" in arguments:
            document.set(arguments, "model_uri", model_uri)
            found = True
        for deployment in _mappings(application, "deployments"):
            user_config, is_ours = deployment.get("user_config"), deployment.get("name") == _DEPLOYMENT
            if isinstance(user_config, dict) and (is_ours or "model_uri" in user_config):
                document.set(user_config, "model_uri", model_uri)
                found = True
            elif is_ours:
                document.set(deployment, "user_config", {"model_uri": model_uri})
                found = True
    return found


def _containers(spec: Any) -> Iterator[dict[str, Any]]:
    cluster = spec.get("rayClusterConfig")
    if isinstance(cluster, dict):
        for group in [cluster.get("headGroupSpec"), *_mappings(cluster, "workerGroupSpecs")]:
            template = group.get("template") if isinstance(group, dict) else None
            pod = template.get("spec") if isinstance(template, dict) else None
            for kind in ("initContainers", "containers"):
                yield from _mappings(pod, kind)


def _mappings(parent: Any, name: str) -> list[dict[str, Any]]:
    children = parent.get(name) if isinstance(parent, dict) else None
    return [child for child in children if isinstance(child, dict)] if isinstance(children, list) else []


def _repository(image: str) -> str:
    """The image's name without tag and digest; a colon before the last slash is a port's."""
    name = image.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return head + slash + tail.partition(":")[0]


def _replace(path: Path, text: str) -> None:
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, scratch)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
