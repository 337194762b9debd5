"""The model card: what a user of the model should know, in Markdown that is also readable as plain text.

Its headings follow Mitchell et al. 2019, "Model Cards for Model Reporting". It states only what was measured.
"""

import dataclasses
import re
from collections.abc import Iterable

from fmnist.domain.model.evaluation.report import REPEATED, ModelReport
from fmnist.domain.model.evaluation.robustness import SEVERITIES
from fmnist.domain.model.markdown import code, table, words
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.training.run import TrainingSpec

_WEAKEST = 3
_RECIPE = (
    *(field.name for field in dataclasses.fields(Recipe)),
    "global_batch_size",
    *(field.name for field in dataclasses.fields(TrainingSpec) if field.name != "recipe"),
)


def model_card(report: ModelReport) -> str:
    """Write the card of a model."""
    info = report.info
    sections = {
        f"# Fashion-MNIST classifier {code(info.architecture)}": _what(report),
        "## Results": _results(report),
        "## Data": _data(report),
        "## Robustness": _robustness(report),
        "## Limits": _limits(report),
        "## Training": _training(report),
        "## Lineage": table(("", ""), info.lineage.items()),
    }
    return "\n\n".join(f"{heading}\n\n{body}" for heading, body in sections.items() if body) + "\n"


def accuracy_in(card: str) -> tuple[str, str] | None:
    """Return the split and the accuracy with its interval, as a card of `model_card` states them; None without them."""
    found = re.search(r"^\|  \| (\w+) \|.*\n\|[ -|]+\n\| accuracy \| ([\d.]+% \([\d.%-]+\)) \|", card, re.MULTILINE)
    return None if found is None else (found[1], found[2])


def _what(report: ModelReport) -> str:
    info = report.info
    return (
        f"Tells {len(info.class_names)} kinds of fashion articles apart: {', '.join(map(words, info.class_names))}.\n\n"
        f"* Input: float32 (n, 1, 28, 28), grey pixels as `(pixel / 255 - {info.normalization.mean:.6f}) / "
        f"{info.normalization.std:.6f}`, light on a dark background\n"
        "* Output: logits float32 (n, 10); their softmax gives the probabilities\n"
        "* Intended use: Fashion-MNIST and work that learns from it. License: Apache-2.0"
    )


def _results(report: ModelReport) -> str:
    splits = [each for each in (report.measured, report.val) if each and each.images]
    rows = [
        ("accuracy", *(_with_interval(each.evaluation.accuracy, each.accuracy_interval) for each in splits)),
        ("macro F1", *(_percent(each.evaluation.f1) for each in splits)),
        ("log loss", *(f"{each.evaluation.loss:.4f}" for each in splits)),
        ("calibration error", *(_percent(each.evaluation.ece) for each in splits)),
        ("images", *(f"{each.images:,}" for each in splits)),
    ]
    classes = [
        (
            each.name,
            _with_interval(each.recall, each.recall_interval),
            _with_interval(each.precision, each.precision_interval),
        )
        for each in report.measured.classes(report.info.class_names)
    ]
    return "\n\n".join(
        [
            table(("", *(each.split for each in splits)), rows),
            f"One view of each image. Brackets hold 95 % intervals (Wilson). By class, on {report.measured.split}:",
            table(("class", "recall", "precision"), classes),
            *_calibrated(report),
        ]
    )


def _calibrated(report: ModelReport) -> Iterable[str]:
    if (found := report.calibration) is None:
        return
    effect = (
        f"log loss {found.loss:.4f} → {found.scaled_loss:.4f}, calibration error {_percent(found.ece)} → "
        f"{_percent(found.scaled_ece)} on val, each half scaled by the temperature fitted on the other"
    )
    if found.helps:
        yield f"Logits are divided by a temperature of {found.temperature:.3f}, fitted on val: {effect}."
    else:
        yield f"Temperature scaling is not used, because it would not have helped: {effect}."


def _data(report: ModelReport) -> str:
    measured = report.measured
    counts = ", ".join(f"{words(split)} {count:,}" for split, count in report.counts.items())
    trained_on = report.info.data_version or "not recorded"
    lines = [f"* Trained on {code(trained_on)}, measured on {code(measured.data_version)}"]
    if counts:
        lines.append(f"* Images of {code(measured.data_version)}: {counts}")
    lines.append(f"* Data registry: {words(report.source)}, digest {code(measured.digest)}")
    return "\n".join([*lines, "* Fashion-MNIST: Xiao, Rasul and Vollgraf 2017, https://arxiv.org/abs/1708.07747"])


def _robustness(report: ModelReport) -> str:
    if (found := report.robustness) is None:
        return ""
    rows = [
        (str(corruption), *(_percent(cell.accuracy) for cell in (found.clean, *cells)))
        for corruption, cells in found.cells.items()
    ]
    mean = ("mean", *(_percent(found.at(severity).accuracy) for severity in (0, *SEVERITIES)))
    detections = [
        (each.outside, each.score, f"{each.auroc:.3f}", _percent(each.false_alarms)) for each in found.detections
    ]
    accuracy = (
        f"Mean corruption accuracy on {report.measured.split}: {_with_interval(found.accuracy, found.interval)}, which "
        f"is {_percent(found.relative)} of the clean accuracy. By severity:"
    )
    outside = (
        "Pictures unlike those of the training, told apart by a score. False alarms: how many of them pass a threshold "
        "that 95 % of val pass."
    )
    return "\n\n".join(
        [
            accuracy,
            table(("corruption", "clean", *map(str, SEVERITIES)), [*rows, mean]),
            outside,
            table(("pictures", "score", "AUROC", "false alarms"), detections),
        ]
    )


def _limits(report: ModelReport) -> str:
    measured, names = report.measured, report.info.class_names
    classes = sorted(measured.classes(names), key=lambda each: each.recall)
    weakest = ", ".join(f"{words(each.name)} {_percent(each.recall)}" for each in classes[:_WEAKEST])
    lines = [f"* Weakest classes, by recall: {weakest}."]
    if confused := measured.confusions(_WEAKEST):
        told = ", ".join(
            f"{words(names[truth])} predicted as {words(names[answer])} ({count})" for truth, answer, count in confused
        )
        lines.append(f"* Most frequent mistakes: {told}.")
    lines += [
        "* It always answers with one of its classes, even for a picture of something else or of nothing.",
    ]
    if report.robustness is None:
        lines += [
            "* It was not measured on photographs, other sizes, dark articles on a light ground, or several articles.",
            "* Its calibration was measured on pictures like those of the data only.",
        ]
    else:
        lines.append("* It was not measured on photographs or several articles.")
    return "\n".join(lines)


def _training(report: ModelReport) -> str:
    if (story := report.story) is None:
        return ""
    heeded = story.heeded
    recipe = ", ".join(f"{name} {words(heeded[name])}" for name in _RECIPE if name in heeded)
    lines = [
        f"* {recipe}",
        f"* Epoch {story.best_epoch + 1} of {len(story.history)}, chosen by val accuracy",
    ]
    if story.seconds and story.images_per_second:
        where = f" on {words(story.device)}" if story.device else ""
        lines.append(f"* {story.seconds:.1f} s in all epochs, {story.images_per_second:,.0f} images/s{where}")
    lines.append(f"* {REPEATED}")
    return "\n".join(lines)


def _percent(share: float) -> str:
    return f"{share:.2%}"


def _with_interval(share: float, interval: tuple[float, float]) -> str:
    return f"{share:.2%} ({interval[0]:.1%}-{interval[1]:.1%})"
