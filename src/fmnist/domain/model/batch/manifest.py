"""The manifest of an output: the model that answers, and the parts that are done. A second run continues from it."""

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Self

from fmnist.domain.model.data.image_rows import InputPart
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.validation import check, check_types

MANIFEST = "manifest.json"
_FORMAT = "fmnist predict-batch 1"
_OTHER = "write to another directory, or remove this one"


def answer_file(part: str) -> str:
    """Return the name of the file with the answers for a part, relative to the output."""
    return part if part.endswith(".parquet") else f"{part}.parquet"


def unreadable_file(part: str) -> str:
    """Return the name of the file that lists the unreadable rows of a part, relative to the output."""
    return f"{answer_file(part).removesuffix('.parquet')}.unreadable.jsonl"


@dataclass(frozen=True, slots=True)
class AnsweringModel:
    """The model of an output. `artifact` is the store's id of the artifact, which differs for another training."""

    uri: str
    version: int
    artifact: str

    def __str__(self) -> str:
        return f"{self.uri} (artifact {self.artifact})"


@dataclass(frozen=True, slots=True)
class FinishedPart:
    """A part whose answers are written.

    Attributes:
        fingerprint: that of the input when it was listed.
        rows: rows of the part, with unreadable ones.
        unreadable: rows that could not be read.
        labeled: whether there are answered rows with labels.
        seconds: time for the part.
        uri: that of the input; None in manifests of earlier releases.
    """

    fingerprint: str
    rows: int
    unreadable: int
    labeled: bool
    seconds: float
    uri: str | None = None

    def __post_init__(self) -> None:
        check_types(self)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state of an output.

    Attributes:
        parts: finished parts by name.
        reported: whether the evaluation report covers all parts.
    """

    model: AnsweringModel
    parts: Mapping[str, FinishedPart] = field(default_factory=dict)
    reported: bool = False

    def missing(self, model: AnsweringModel, parts: Sequence[InputPart]) -> list[InputPart]:
        """Return the parts that have no answers yet, in their order.

        Raises:
            InvalidSetting: another model has answered, or an input has changed since, or has the name of another one.
                The message says which.
        """
        if model != self.model:
            raise InvalidSetting(
                f"the output has answers of {self.model}, found {model}: continue with the same model, or {_OTHER}"
            )
        for part in parts:
            done = self.parts.get(part.name)
            if done is not None and done.uri not in {None, part.uri}:
                raise InvalidSetting(
                    f"the answers {answer_file(part.name)} are those of {done.uri}, not of {part.uri}: {_OTHER}"
                )
            if done is not None and done.fingerprint != part.fingerprint:
                raise InvalidSetting(f"{part.uri} has changed since its answers were written: {_OTHER}")
        return [part for part in parts if part.name not in self.parts]

    def only(self, files: Container[str]) -> Self:
        """Return the manifest without the parts whose answers are not among these files."""
        return replace(self, parts={name: done for name, done in self.parts.items() if answer_file(name) in files})

    def with_part(self, name: str, done: FinishedPart) -> Self:
        """Return the manifest with one more finished part, which the report does not cover."""
        return replace(self, parts={**self.parts, name: done}, reported=False)

    def to_json(self) -> str:
        """Write `manifest.json`, which also names each file and the number of its rows."""
        parts = {
            name: {
                "answers": answer_file(name),
                "answered": done.rows - done.unreadable,
                "unreadable_rows": unreadable_file(name) if done.unreadable else None,
                **asdict(done),
            }
            for name, done in self.parts.items()
        }
        document = {"format": _FORMAT, "model": asdict(self.model), "reported": self.reported, "parts": parts}
        return json.dumps(document, indent=1) + "\n"

    @classmethod
    def from_json(cls, content: str | bytes) -> Self:
        """Read `manifest.json`.

        Raises:
            InvalidSetting: this release of fmnist did not write it.
        """
        try:
            document = json.loads(content)
            check(document["format"] == _FORMAT, "its format", repr(_FORMAT), repr(document["format"]))
            fields = FinishedPart.__dataclass_fields__
            parts = {
                name: FinishedPart(**{key: value for key, value in done.items() if key in fields})
                for name, done in document["parts"].items()
            }
            return cls(AnsweringModel(**document["model"]), parts, document["reported"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidSetting) as error:
            raise InvalidSetting(f"{MANIFEST} is not one of predict-batch ({error}): {_OTHER}") from error
