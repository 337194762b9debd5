"""The terminal output of `fmnist evaluate`: accuracy, figures of each class, and where the report is."""

from pathlib import Path

from rich.table import Table

from fmnist.apps.terminal import print_pairs, stdout
from fmnist.domain.services.evaluation.evaluate import EvaluatedModel

_CONFUSIONS = 3


def print_evaluation(found: EvaluatedModel, page: Path | None) -> None:
    """Print the figures, then the paths of `page` and of the report in the model's run."""
    console, measured, names = stdout(), found.report.measured, found.report.info.class_names
    low, high = measured.accuracy_interval
    confusions = measured.confusions(_CONFUSIONS)
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
