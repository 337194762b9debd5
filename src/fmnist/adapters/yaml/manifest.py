"""A Serve config or RayService manifest pointed at a model. What it does not have to change stays, to the character.

Looking up and changing are apart: a file that cannot be used is refused before a promotion changes anything.
"""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import LiteralScalarString

from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable

_DEPLOYMENT = "FashionMNISTClassifier"
# Mapping, sequence and offset of the layouts that people use; a file is written in the one that changes it least.
_LAYOUTS = ((2, 2, 0), (2, 4, 2), (4, 2, 0), (4, 4, 2), (4, 6, 4))


class ServingManifest:
    """The file at `path`, read and understood.

    Raises:
        InvalidSetting: no such file, no YAML, or nothing in it that serves our model.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSetting(f"manifest {path} cannot be read: {error}") from error
        self.pointed_at("models:/check/1")

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
            yaml = _yaml_for(self._text)
            documents = list(yaml.load_all(self._text))
            serving = [each for each in documents if _point(each, model_uri, image, self._path)]
        except YAMLError as error:
            raise InvalidSetting(f"manifest {self._path} is no YAML: {' '.join(str(error).split())}") from error
        if not serving:
            raise InvalidSetting(
                f"manifest {self._path} serves no model of ours: expected a Serve config with a deployment "
                f"{_DEPLOYMENT} (or one with user_config.model_uri) under applications, or a RayService with one in "
                "spec.serveConfigV2"
            )
        return _dump(yaml, documents)


def _point(document: Any, model_uri: str, image: str | None, path: Path) -> bool:
    """Change one document in place, and return whether it is one that serves our model."""
    if not isinstance(document, dict):
        return False
    if document.get("kind") != "RayService":
        return _point_config(document, model_uri)
    spec = document.get("spec")
    text = spec.get("serveConfigV2") if isinstance(spec, dict) else None
    if not isinstance(text, str):
        return False
    yaml = _yaml_for(text)
    config = yaml.load(text)
    if not _point_config(config, model_uri):
        return False
    pointed = _dump(yaml, [config])
    if pointed != text:
        new = LiteralScalarString(pointed)
        new.comment = getattr(text, "comment", None)  # type: ignore[attr-defined]  # what follows the block
        spec["serveConfigV2"] = new
    if image is not None:
        _point_image(spec, image, path)
    return True


def _point_config(config: Any, model_uri: str) -> bool:
    found = False
    for application in _mappings(config, "applications"):
        arguments = application.get("args")
        if isinstance(arguments, dict) and "model_uri" in arguments:
            _set(arguments, "model_uri", model_uri)
            found = True
        for deployment in _mappings(application, "deployments"):
            user_config = deployment.get("user_config")
            if isinstance(user_config, dict) and ("model_uri" in user_config or deployment.get("name") == _DEPLOYMENT):
                _set(user_config, "model_uri", model_uri)
                found = True
            elif deployment.get("name") == _DEPLOYMENT:
                deployment["user_config"] = {"model_uri": model_uri}
                found = True
    return found


def _point_image(spec: Any, image: str, path: Path) -> None:
    """Set the image of every container that runs another tag of it."""
    found = []
    for container in _containers(spec):
        found.append(str(container.get("image")))
        if _repository(found[-1]) == _repository(image):
            _set(container, "image", image)
    if not any(_repository(each) == _repository(image) for each in found):
        raise InvalidSetting(
            f"manifest {path} has no container of the image {_repository(image)}: it has {', '.join(found) or 'none'}"
        )


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


def _set(mapping: dict[str, Any], name: str, value: str) -> None:
    """Set a string in the quotes that it had."""
    old = mapping.get(name)
    if old != value:
        mapping[name] = type(old)(value) if isinstance(old, str) else value


def _repository(image: str) -> str:
    """The image's name without tag and digest; a colon before the last slash is a port's."""
    name = image.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return head + slash + tail.partition(":")[0]


def _yaml_for(text: str) -> YAML:
    """Return a round-trip parser in the layout that gives the text back with the fewest lines changed."""

    def changed(yaml: YAML) -> int:
        again = _dump(yaml, list(yaml.load_all(text))).splitlines()
        before = text.splitlines()
        return sum(a != b for a, b in zip(before, again, strict=False)) + abs(len(before) - len(again))

    return min((_yaml(*layout) for layout in _LAYOUTS), key=changed)


def _yaml(mapping: int, sequence: int, offset: int) -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 2**16
    yaml.indent(mapping=mapping, sequence=sequence, offset=offset)
    return yaml


def _dump(yaml: YAML, documents: list[Any]) -> str:
    buffer = io.StringIO()
    yaml.dump_all(documents, buffer)
    return buffer.getvalue()


def _replace(path: Path, text: str) -> None:
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, scratch)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
