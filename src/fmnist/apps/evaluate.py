"""`fmnist evaluate`: measures any registered model on a split, and writes the report that training writes."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from fmnist.apps.outputs import AsJson, check_output_dir, examples, print_json, write_outputs
from fmnist.apps.process import begin
from fmnist.apps.terminal import print_pairs, stderr, stdout
from fmnist.domain.model.data.dataset import MEASURED_SPLITS

if TYPE_CHECKING:
    from fmnist.domain.model.evaluation.robustness import Robustness
    from fmnist.domain.services.evaluation.evaluate import EvaluatedModel

EXAMPLES = examples(
    "fmnist evaluate",
    "fmnist evaluate models:/dev.fashion-mnist-classifier/1 --output-dir report",
    "fmnist evaluate --robustness --output-dir report",
    "fmnist evaluate models:/prod.fashion-mnist-classifier@champion --data-version 1.1.0 --json",
)

_PAGE = "report.html"


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL_URI]",
            help="Model, as models:/NAME/VERSION or models:/NAME@ALIAS.  "
            "\\[default: newest version of the model MLFLOW_REGISTERED_MODEL_NAME]",
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="|".join(MEASURED_SPLITS),
            help="Split to evaluate on. Use val only if the model was not trained on val.",
        ),
    ] = "test",
    data_version: Annotated[
        str | None, typer.Option(help="Data version of the split.  \\[default: data version of the model's training]")
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option(help=f"Directory for the output files: {_PAGE}, model_card.md and the figures.")
    ] = None,
    *,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Measure it on corrupted images and on pictures unlike those of the training, too. It takes a minute "
            "or more.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a registered model on a split, and report accuracy, mistakes and calibration.

    The report is logged to the model's run, in evaluations/DATA_VERSION-SPLIT. With --robustness, the name of the
    folder ends in -robustness. It changes no metric, tag or alias.
    """
    settings = begin()
    check_output_dir(output_dir)
    with stderr().status("loading the model") as status:
        from fmnist.apps.containers.evaluate import EvaluateContainer

        container = EvaluateContainer(settings=settings)
        uri = model or container.find_version(uri=None).uri
        status.update(Text(f"evaluating {uri} on {split}"))

        def show(done: int, cells: int) -> None:
            status.update(Text(f"evaluating {uri} on corrupted images of {split}, {done} of {cells}"))

        found: EvaluatedModel = container.evaluation().evaluate(
            uri, split=split, data_version=data_version, on_cell=show if robustness else None
        )
    write_outputs(output_dir, found.files)
    if as_json:
        print_json(_summary(found, output_dir))
    else:
        _print(found, output_dir and output_dir / _PAGE)


def _summary(found: "EvaluatedModel", directory: Path | None) -> dict[str, Any]:
    measured = found.report.measured
    low, high = measured.accuracy_interval
    return {
        "model_uri": found.model.uri,
        "data_version": measured.data_version,
        "split": measured.split,
        "images": measured.images,
        "metrics": measured.evaluation.metrics(measured.split, calibration=True),
        "accuracy_interval": [low, high],
        "classes": {
            each.name: {"recall": each.recall, "precision": each.precision, "f1": each.f1, "images": each.images}
            for each in measured.classes(found.report.info.class_names)
        },
        "confusion_matrix": measured.evaluation.confusion.tolist(),
        **({"robustness": _robustness(found.report.robustness)} if found.report.robustness else {}),
        "logged_to": found.logged_to and f"runs:/{found.model.run_id}/{found.logged_to}",
        "written_to": str(directory / _PAGE) if directory else None,
    }


def _robustness(found: "Robustness") -> dict[str, Any]:
    return {
        "corruption_accuracy": found.accuracy,
        "corruption_accuracy_interval": list(found.interval),
        "relative_to_clean": found.relative,
        "accuracy": {str(name): [cell.accuracy for cell in cells] for name, cells in found.cells.items()},
        "confidence": {str(name): [cell.confidence for cell in cells] for name, cells in found.cells.items()},
        "ece": {str(name): [cell.ece for cell in cells] for name, cells in found.cells.items()},
        "detections": [asdict(each) for each in found.detections],
    }


def _print(found: "EvaluatedModel", page: Path | None) -> None:
    """Print the figures, then the paths of `page` and of the report in the model's run."""
    console, measured, names = stdout(), found.report.measured, found.report.info.class_names
    low, high = measured.accuracy_interval
    confusions = measured.confusions(most=3)
    told = ", ".join(f"{names[truth]} predicted as {names[answer]} ({count})" for truth, answer, count in confusions)
    print_pairs(
        [
            ("model", found.model.uri),
            ("measured on", f"{measured.split} of {measured.data_version}, {measured.images:,} images"),
            ("accuracy", f"{measured.evaluation.accuracy:.2%} (95 % interval {low:.1%}-{high:.1%})"),
            ("macro F1", f"{measured.evaluation.f1:.2%}"),
            ("log loss", f"{measured.evaluation.loss:.4f}"),
            ("calibration error", f"{measured.evaluation.ece:.2%}"),
            ("most frequent mistakes", told or "none"),
            *_told(found.report.robustness),
        ]
    )
    console.print()

    classes = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("class", "recall", "95 % interval", "precision", "95 % interval", "images"):
        classes.add_column(column, justify="left" if column == "class" else "right")
    for each in measured.classes(names):
        recall, precision = (f"{a:.1%}-{b:.1%}" for a, b in (each.recall_interval, each.precision_interval))
        classes.add_row(each.name, f"{each.recall:.1%}", recall, f"{each.precision:.1%}", precision, f"{each.images:,}")
    console.print(classes)
    console.print()
    if page is not None:
        console.print(f"report {page}", soft_wrap=True)
    if found.logged_to is not None:
        console.print(f"report runs:/{found.model.run_id}/{found.logged_to}/report.html", soft_wrap=True)


def _told(found: "Robustness | None") -> Iterator[tuple[str, str]]:
    if found is None:
        return
    low, high = found.interval
    yield "corruption accuracy", f"{found.accuracy:.2%} (95 % interval {low:.1%}-{high:.1%})"
    yield "relative to clean", f"{found.relative:.2%}"
    worst = min(found.cells, key=lambda name: found.cells[name][-1].accuracy)
    yield "worst corruption", f"{worst}, {found.cells[worst][-1].accuracy:.2%} in severity 5"
    for each in found.detections:
        name = f"{each.outside}, by {each.score}"
        yield name, f"AUROC {each.auroc:.3f}, {each.false_alarms:.1%} false alarms"
