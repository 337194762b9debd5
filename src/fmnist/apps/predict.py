"""`fmnist predict`: classifies images of files, or of a split, with any registered model."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from fmnist.apps.model_option import ModelUri
from fmnist.apps.outputs import AsJson, examples, print_json
from fmnist.apps.process import begin
from fmnist.apps.terminal import stderr, stdout
from fmnist.domain.model.errors import InvalidImages, InvalidSetting

if TYPE_CHECKING:
    from fmnist.apps.containers.predict import PredictContainer
    from fmnist.domain.model.data.image_rows import InputPart
    from fmnist.domain.model.data.images import Images
    from fmnist.domain.model.model import ModelInfo
    from fmnist.domain.services.explanation import Explanation
    from fmnist.domain.services.prediction import ClassPrediction, Prediction
    from fmnist.ports.image_source import ImageSource

EXAMPLES = examples(
    "fmnist predict shoe.png coat.jpg",
    "fmnist predict pictures/ 's3://bucket/images/*.parquet'",
    "fmnist predict --split test --index 0-4,17",
    "fmnist predict --explain shoe.png",
    "fmnist predict --model models:/prod.fashion-mnist-classifier@champion --top-k 3 --json batch.npy",
)

_MOST_IMAGES = 1000  # of files: this command shows each one
_INDEX = re.compile(r"[0-9]{1,9}")


def predict(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, patterns or s3:// addresses: PNG, JPEG, .npy, IDX, Kaggle's CSV, Parquet. "
            "Garments must be light on a dark background."
        ),
    ] = None,
    model: ModelUri = None,
    split: Annotated[
        str | None,
        typer.Option(help="Split to classify instead of files: train, val or test of the model's data version."),
    ] = None,
    index: Annotated[str, typer.Option(help="Row numbers of the images in --split, such as 0-4,17.")] = "0-4",
    top_k: Annotated[int, typer.Option(min=1, max=10, help="Number of classes to list for each image.")] = 1,
    *,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Show which parts of each image speak for its class. Each takes as long as 82 images."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Classify up to 1000 images, and show the confidence of each answer."""
    settings = begin()
    if bool(files) == bool(split):
        raise InvalidSetting("give either files or --split, such as: fmnist predict --split test --index 0-4")
    with stderr().status("loading the model"):
        from fmnist.apps.containers.predict import PredictContainer

        container = PredictContainer(settings=settings)
        chosen = _Chosen.from_files(container.image_source(), files) if files else None
        uri = model or container.find_version(uri=None).uri
        prediction: Prediction = container.prediction(uri)
        chosen = chosen or _Chosen.from_split(container, prediction.info, str(split), index)
    answers = prediction.top_k(chosen.images, top_k)
    explanations = _explained(prediction, chosen.images) if explain else None
    truths = [None if label is None else prediction.info.class_names[label] for label in chosen.labels]
    if as_json:
        _print_answers(uri, chosen.names, answers, truths, explanations)
    else:
        _print_pictures(uri, chosen, answers, truths, explanations, listed=bool(files) or top_k > 1)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The images to classify, uint8 (n, 28, 28), with a name and, if known, the label of each."""

    names: list[str]
    images: "Images"
    labels: list[int | None]

    @classmethod
    def from_files(cls, source: "ImageSource", files: list[str]) -> Self:
        import numpy as np

        names, images, labels = list[str](), list["Images"](), list[int | None]()
        for text in files:
            for part in source.parts([text]):
                first = len(names)
                for rows in source.read(part):
                    for bad in rows.unreadable[:1]:
                        raise InvalidImages(f"{_name(text, part, bad.row)}: {bad.reason}")
                    names += [_name(text, part, row) for row in rows.rows.tolist()]
                    images.append(rows.images)
                    labels += [None] * len(rows) if rows.labels is None else rows.labels.tolist()
                    if len(names) > _MOST_IMAGES:
                        raise InvalidSetting(
                            f"more than {_MOST_IMAGES} images: fmnist predict shows each one; "
                            "for more, run fmnist predict-batch"
                        )
                if len(names) == first + 1:
                    names[first] = names[first].removesuffix("[0]")
        if not names:
            raise InvalidImages(f"no images in {', '.join(files)}: expected at least one")
        return cls(names, np.concatenate(images), labels)

    @classmethod
    def from_split(cls, container: "PredictContainer", info: "ModelInfo", split: str, index: str) -> Self:
        registry = container.data_registry()
        data = registry.read(registry.resolve(info.lineage["dvc_data_version"]), split)
        rows = parse_indices(index, len(data))
        return cls([f"{split}[{row}]" for row in rows], data.images[rows], data.labels[rows].tolist())


def _name(text: str, part: "InputPart", row: int) -> str:
    """Return the name of a row. It begins as the user named the file or folder."""
    name = f"{part.uri}/{part.pictures[row]}" if part.pictures else f"{part.uri}[{row}]"
    path = text if "://" in text else str(Path(text).absolute())
    return text.rstrip("/") + name.removeprefix(path) if name.startswith(path) else name


def parse_indices(text: str, length: int) -> list[int]:
    """Parse row numbers below `length` from a text like `0-4,17`.

    Raises:
        InvalidSetting: the text has another form, or a row is beyond the end of the split.
    """
    rows: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (_INDEX.fullmatch(first) and (_INDEX.fullmatch(last) if dash else True)):
            raise InvalidSetting(f"--index {text[:40]!r} is not of the form 0-4,17")
        if not int(first) <= int(last or first) < length:
            raise InvalidSetting(f"--index {text!r} is not within the split's {length} images, 0-{length - 1}")
        rows += range(int(first), int(last or first) + 1)
    return rows


def _explained(prediction: "Prediction", images: "Images") -> "list[Explanation]":
    from fmnist.domain.services.explanation import explain

    with stderr().status("explaining"):
        return [explain(prediction, image) for image in images]


def _print_answers(
    uri: str,
    names: list[str],
    answers: list[list["ClassPrediction"]],
    truths: list[str | None],
    explanations: "list[Explanation] | None",
) -> None:
    rows: list[dict[str, Any]] = []
    for row, (name, ranked, true) in enumerate(zip(names, answers, truths, strict=True)):
        document: dict[str, Any] = {"image": name, "predictions": [asdict(answer) for answer in ranked]}
        if true is not None:
            document["truth"] = true
        if explanations is not None:
            document["explanation"] = {"map": explanations[row].map.tolist(), "images": explanations[row].images}
        rows.append(document)
    print_json({"model_uri": uri, "images": rows})


def _print_pictures(
    uri: str,
    chosen: _Chosen,
    answers: list[list["ClassPrediction"]],
    truths: list[str | None],
    explanations: "list[Explanation] | None",
    *,
    listed: bool,
) -> None:
    """Draw the images with their best class. `listed` adds a line per image with its name and the top classes."""
    from fmnist.apps.pictures import Answer, draw_answers

    console = stdout()
    console.print(f"model {uri}\n", soft_wrap=True)
    captions = [
        Answer(ranked[0].class_name, ranked[0].confidence, truth) for ranked, truth in zip(answers, truths, strict=True)
    ]
    maps = None if explanations is None else [each.map for each in explanations]
    draw_answers(console, chosen.images, captions, maps)
    if listed:
        for name, ranked in zip(chosen.names, answers, strict=True):
            classes = ", ".join(f"{answer.class_name} {answer.confidence:.1%}" for answer in ranked)
            console.print(f"{name}  {classes}", soft_wrap=True, markup=False)
