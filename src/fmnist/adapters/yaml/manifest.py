"""Reads and sets the model in a Serve config or RayService manifest. Comments, order and indentation stay."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from fmnist.adapters.yaml.round_trip import block, dump, load, plain, quoted
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable
from fmnist.domain.model.files import read_file
from fmnist.domain.model.promotion.canary import Canary
from fmnist.domain.model.text import words_of

_MOST_BYTES = 1_000_000
_DEPLOYMENT = "FashionMNISTClassifier"


class ServingManifest:
    """The manifest at `path`, read and checked.

    Raises:
        InvalidSetting: the file does not exist, is not valid YAML, or has no part that serves our model.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            text = read_file(path, _MOST_BYTES).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSetting(f"manifest {path} cannot be read: {error}") from error
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._text = text.replace("\r\n", "\n")
        self._pointed_at("models:/check/1")

    def model_uri(self) -> str | None:
        """Return the model URI of the first deployment or application that names one, or None."""
        places = [place for part in load(self._text) for config in _configs(part) for place in _places(config)]
        return next((str(place["model_uri"]) for place in places if isinstance(place.get("model_uri"), str)), None)

    def canary(self) -> Canary | None:
        """Return the canary of the first deployment that has a valid one, or None."""
        configs = [config for part in load(self._text) for config in _configs(part)]
        for place in (place for config in configs for place in _user_configs(config)):
            with suppress(InvalidSetting):
                return Canary.parse(plain(place.get("canary")))
        return None

    def point_at(self, model_uri: str, image: str | None = None, canary: Canary | None = None) -> bool:
        """Write this model, this image if given, and this canary or none. Return whether the file changed.

        Raises:
            InvalidSetting: no container of the file uses an image with this name, or no deployment of the file can have
                the canary.
            StoreUnavailable: the file cannot be written.
        """
        text = self._pointed_at(model_uri, image, canary)
        if text == self._text:
            return False
        try:
            self._path.write_text(text, encoding="utf-8", newline=self._newline)
        except OSError as error:
            raise StoreUnavailable(f"manifest {self._path} cannot be written: {error}") from error
        self._text = text
        return True

    def _pointed_at(self, model_uri: str, image: str | None = None, canary: Canary | None = None) -> str:
        try:
            documents = load(self._text)
            found = [self._point(each, model_uri, image, canary) for each in documents]
            if not any(found):
                raise InvalidSetting(
                    f"manifest {self._path} serves no model of ours: expected a Serve config with a deployment "
                    f"{_DEPLOYMENT} (or one with user_config.model_uri) under applications, or a RayService with such "
                    "a config in spec.serveConfigV2"
                )
            return self._text if documents == load(self._text) else dump(documents, self._text)
        except YAMLError as error:
            raise InvalidSetting(f"manifest {self._path} is not valid YAML: {words_of(error)}") from error

    def _point(self, part: Any, model_uri: str, image: str | None, canary: Canary | None) -> bool:
        """Change one document in place, and return whether it serves our model."""
        configs, before = _configs(part), _inner_config(part)
        places = [place for config in configs for place in _places(config)]
        for place in places:
            place["model_uri"] = quoted(model_uri)
        configurable = [place for config in configs for place in _user_configs(config)]
        if places and canary is not None and not configurable:
            raise InvalidSetting(
                f"manifest {self._path} has no deployment {_DEPLOYMENT}, which a canary needs: list it there"
            )
        for place in configurable:
            if canary is None:
                place.pop("canary", None)
                continue
            values = {"model_uri": quoted(canary.model_uri), "percent": canary.percent}
            there = place.get("canary")
            if isinstance(there, dict) and set(there) == set(values):
                there.update(values)  # keeps its comments
            else:
                place["canary"] = values
        if places and before is not None:
            if configs != load(before):
                part["spec"]["serveConfigV2"] = block(dump(configs, before))
            if image is not None:
                self._point_image(part["spec"], image)
        return bool(places)

    def _point_image(self, spec: Any, image: str) -> None:
        """Set the image of every container that uses another tag of it."""
        containers = [each for each in _containers(spec) if isinstance(each.get("image"), str)]
        ours = [each for each in containers if _repository(each["image"]) == _repository(image)]
        if not ours:
            there = ", ".join(each["image"] for each in containers) or "none"
            raise InvalidSetting(
                f"manifest {self._path} has no container with the image {_repository(image)}: its images are {there}"
            )
        for container in ours:
            container["image"] = quoted(image)


def _configs(part: Any) -> list[Any]:
    """Return the Serve configs of a document: those inside of a RayService, or the document itself."""
    inner = _inner_config(part)
    return [part] if inner is None else load(inner)


def _inner_config(part: Any) -> str | None:
    spec = part.get("spec") if isinstance(part, dict) and part.get("kind") == "RayService" else None
    config = spec.get("serveConfigV2") if isinstance(spec, dict) else None
    return config if isinstance(config, str) else None


def _places(config: Any) -> Iterator[dict[str, Any]]:
    """Yield the mappings of a Serve config that name a model, or must. Our deployment gets one if it has none.

    A user_config comes first, because it overrides arguments.
    """
    for application in _mappings(config, "applications"):
        yield from _user_configs({"applications": [application]})
        if isinstance(arguments := application.get("args"), dict) and "model_uri" in arguments:
            yield arguments


def _user_configs(config: Any) -> Iterator[dict[str, Any]]:
    for application in _mappings(config, "applications"):
        for deployment in _mappings(application, "deployments"):
            is_ours = deployment.get("name") == _DEPLOYMENT
            if is_ours and not isinstance(deployment.get("user_config"), dict):
                deployment["user_config"] = {}
            if isinstance(found := deployment.get("user_config"), dict) and (is_ours or "model_uri" in found):
                yield found


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
    """Return the image's name without tag and digest. A colon before the last slash belongs to a port."""
    name = image.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return head + slash + tail.partition(":")[0]
