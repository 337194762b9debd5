"""`fmnist predict`: classifies picture files, or images of a split, with any registered model."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmnist.apps.process import begin
from fmnist.domain.model.errors import InvalidSetting, ModelNotFound

if TYPE_CHECKING:
    from fmnist.apps.containers.predict import PredictContainer
    from fmnist.domain.model.images import Images
    from fmnist.domain.services.prediction import ClassPrediction, Prediction

EXAMPLES = (
    "[bold]Examples[/]\n\n"
    "fmnist predict shoe.png coat.jpg\n\n"
    "fmnist predict --split test --index 0-4,17\n\n"
    "fmnist predict --model models:/prod.fashion-mnist-classifier@champion --top-k 3 --json batch.npy"
)


def predict(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="PNG or JPEG pictures (light on dark, as Fashion-MNIST is), or .npy batches."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="models:/NAME/VERSION or models:/NAME@ALIAS.  \\[default: newest of MLFLOW_REGISTERED_MODEL_NAME]"
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Classify images of this split of the model's own data version: train, val, test."),
    ] = None,
    index: Annotated[str, typer.Option(help="Which images of the split, such as 0-4,17.")] = "0-4",
    top_k: Annotated[int, typer.Option(min=1, max=10, help="How many classes for each image.")] = 1,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON on stdout.")] = False,
) -> None:
    """Classify pictures, and say how sure the model is."""
    settings = begin()
    if bool(files) == bool(split):
        raise InvalidSetting("give either picture files or --split, such as: fmnist predict --split test --index 0-4")
    from fmnist.apps.terminal import stderr

    with stderr().status("loading the model"):
        from fmnist.apps.containers.predict import PredictContainer

        container = PredictContainer(settings=settings)
        uri = model or _newest(container, settings.mlflow_registered_model_name)
        prediction: Prediction = container.prediction(uri)
    names, images, truths = _images(container, prediction, files, split, index)
    answers = prediction.top_k(images, top_k)
    if as_json:
        _print_json(uri, names, answers, truths)
    else:
        _print_pictures(uri, names, images, answers, truths)


def _newest(container: "PredictContainer", name: str) -> str:
    versions = container.model_store().versions(name)
    if not versions:
        raise ModelNotFound(f"no model is registered as {name!r} yet: run fmnist train, or give --model")
    uri: str = versions[0].uri
    return uri


def _images(
    container: "PredictContainer", prediction: "Prediction", files: list[Path] | None, split: str | None, index: str
) -> tuple[list[str], "Images", list[str] | None]:
    """Return names, images uint8 (n, 28, 28) and, where they are known, the true classes."""
    import numpy as np

    if split is None:
        batches = [(path, container.read_image_file()(path)) for path in files or []]
        names = [
            str(path) if len(batch) == 1 else f"{path}[{row}]" for path, batch in batches for row in range(len(batch))
        ]
        return names, np.concatenate([batch for _, batch in batches]), None
    registry = container.data_registry()
    data = registry.read(registry.resolve(prediction.info.lineage["dvc_data_version"]), split)
    rows = parse_indices(index, len(data))
    truths = [prediction.info.class_names[label] for label in data.labels[rows]]
    return [f"{split}[{row}]" for row in rows], data.images[rows], truths


def parse_indices(text: str, length: int) -> list[int]:
    """Read `0-4,17` as row numbers below `length`.

    Raises:
        InvalidSetting: not of that form, or beyond the split's end.
    """
    rows: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else True)):
            raise InvalidSetting(f"--index {text!r} is not of the form 0-4,17")
        rows += range(int(first), int(last or first) + 1)
    if not rows or max(rows) >= length:
        raise InvalidSetting(f"--index {text!r} is not within the split's {length} images, 0-{length - 1}")
    return rows


def _print_json(uri: str, names: list[str], answers: list[list["ClassPrediction"]], truths: list[str] | None) -> None:
    rows: list[dict[str, Any]] = []
    for row, (name, ranked) in enumerate(zip(names, answers, strict=True)):
        truth = {"truth": truths[row]} if truths else {}
        rows.append({"image": name, "predictions": [asdict(answer) for answer in ranked], **truth})
    sys.stdout.write(json.dumps({"model_uri": uri, "images": rows}, indent=2) + "\n")


def _print_pictures(
    uri: str,
    names: list[str],
    images: "Images",
    answers: list[list["ClassPrediction"]],
    truths: list[str] | None,
) -> None:
    from fmnist.apps.pictures import Answer, draw_answers
    from fmnist.apps.terminal import stdout

    console = stdout()
    console.print(f"model {uri}\n")
    captions = [
        Answer(ranked[0].class_name, ranked[0].confidence, truths[row] if truths else None)
        for row, ranked in enumerate(answers)
    ]
    draw_answers(console, images, captions)
    for name, ranked in zip(names, answers, strict=True):
        console.print(f"{name}  " + ", ".join(f"{answer.class_name} {answer.confidence:.1%}" for answer in ranked))
