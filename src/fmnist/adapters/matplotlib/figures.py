"""Draws the figures of a report, each as an `<svg>` element in the theme's colours. It computes no metrics."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fmnist.adapters.matplotlib.theme import BLUE, FAINT, INK, ORANGE, label, new_figure, to_svg
from fmnist.domain.model.evaluation.calibration import Reliability
from fmnist.domain.model.evaluation.metrics import Confusion
from fmnist.domain.model.evaluation.report import ClassFigures, ModelReport, TrainingStory
from fmnist.domain.model.evaluation.robustness import SEVERITIES, Robustness


def draw(report: ModelReport) -> dict[str, str]:
    """Draw every figure that the report has numbers for."""
    measured, names = report.measured, [label(name) for name in report.info.class_names]
    figures = {
        "confusion_matrix": confusion_matrix(measured.evaluation.confusion, names),
        "classes": classes(measured.classes(names)),
        "reliability": reliability(measured.reliability),
    }
    if report.story is not None:
        figures["learning_curves"] = learning_curves(report.story)
    if report.robustness is not None:
        figures["robustness"] = robustness(report.robustness)
    return figures


def confusion_matrix(confusion: Confusion, names: Sequence[str]) -> str:
    """Draw counts by true and predicted class: correct in blue, wrong in orange, stronger for a larger share."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    with new_figure(4.5) as figure:
        axes = figure.add_subplot()
        for (truth, answer), count in np.ndenumerate(confusion):
            if not count:
                continue
            is_right, share = truth == answer, shares[truth, answer]
            # Mistakes are rare, and a colour by their share alone would be too faint to see.
            strength = 0.1 + 0.85 * share if is_right else min(0.95, 0.06 + 0.85 * np.sqrt(share))
            cell = Rectangle((answer - 0.48, truth - 0.48), 0.96, 0.96, linewidth=0)
            cell.set(facecolor=BLUE if is_right else ORANGE, alpha=float(strength))
            axes.add_patch(cell)
            colour = "#ffffff" if strength > 0.55 else INK
            axes.text(answer, truth, str(count), ha="center", va="center", fontsize=8, color=colour)
        everywhere = range(len(names))
        axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal")
        axes.set_xticks(everywhere, names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(everywhere, names)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.spines[:].set_visible(False)
        return to_svg(figure)


def classes(figures: Sequence[ClassFigures]) -> str:
    """Draw recall and precision of each class with their intervals. The class of the lowest recall is at the bottom."""
    ranked = sorted(figures, key=lambda each: each.recall)
    with new_figure(3.9) as figure:
        axes = figure.add_subplot()
        for name, colour, marker, shift, shares, intervals in (
            ("recall", BLUE, "o", 0.16, [e.recall for e in ranked], [e.recall_interval for e in ranked]),
            ("precision", ORANGE, "D", -0.16, [e.precision for e in ranked], [e.precision_interval for e in ranked]),
        ):
            rows = np.arange(len(ranked)) + shift
            low, high = np.array(intervals).T
            axes.hlines(rows, low, high, colors=colour, linewidth=1.6, alpha=0.55)
            axes.plot(shares, rows, marker, color=colour, markersize=4.5, label=name)
        axes.set_yticks(range(len(ranked)), [each.name for each in ranked])
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlim(right=1.005)
        axes.grid(axis="x")
        axes.spines[:].set_visible(False)
        figure.legend(loc="outside upper center", ncols=2)
        return to_svg(figure)


def reliability(bins: Reliability) -> str:
    """Draw the accuracy and the number of predictions for each bin of confidence."""
    filled = bins.count > 0
    width = 1 / len(bins.count)
    middle = (np.arange(len(bins.count)) + 0.5) * width
    confidence, accuracy = bins.confidence[filled], bins.accuracy[filled]
    low, high = bins.intervals()[filled].T
    with new_figure(4.3) as figure:
        upper, lower = figure.subplots(2, height_ratios=(3, 1), sharex=True)
        upper.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)), alpha=0.6, label="ideal calibration")
        upper.vlines(confidence, low, high, colors=BLUE, linewidth=1.6, alpha=0.55)
        upper.plot(confidence, accuracy, "o", color=BLUE, markersize=5, label="accuracy, with 95 % interval")
        upper.set(ylim=(-0.02, 1.02), ylabel="accuracy")
        upper.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        upper.legend(loc="upper left")
        upper.grid()
        lower.bar(middle[filled], bins.count[filled], width=width * 0.9, color=BLUE, alpha=0.55, linewidth=0)
        lower.set(xlim=(0, 1.01), xlabel="confidence", ylabel="images")
        lower.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        lower.grid(axis="y")
        return to_svg(figure)


def learning_curves(story: TrainingStory) -> str:
    """Draw loss and accuracy of each epoch, on train and val, and mark the chosen epoch."""
    with new_figure(4.3) as figure:
        upper, lower = figure.subplots(2, sharex=True)
        for axes, metric, title in ((upper, "acc", "accuracy"), (lower, "loss", "loss")):
            _curves(axes, story.history, metric)
            axes.axvline(story.best_epoch + 1, color=INK, linewidth=1, linestyle=(0, (1, 2)), alpha=0.7)
            axes.set_ylabel(title)
            axes.grid(axis="y")
        upper.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        upper.annotate(
            "chosen",
            (story.best_epoch + 1, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
        )
        lower.set_xlabel("epoch")
        lower.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        lower.set_xlim(0.5, len(story.history) + 0.5)
        handles, labels = upper.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
        return to_svg(figure)


def robustness(found: Robustness) -> str:
    """Draw accuracy and mean confidence by severity, for each corruption and for all."""
    panels = {str(name): (found.clean, *cells) for name, cells in found.cells.items()}
    panels["mean"] = tuple(found.at(severity) for severity in (0, *SEVERITIES))
    with new_figure(6.4) as figure:
        grid = figure.subplots(4, 3, sharex=True, sharey=True).flat
        for axes, (name, cells) in zip(grid, panels.items(), strict=True):
            severities = range(len(cells))
            axes.plot(severities, [c.accuracy for c in cells], color=BLUE, marker="o", markersize=3, label="accuracy")
            confidence = [cell.confidence for cell in cells]
            axes.plot(severities, confidence, color=ORANGE, linestyle=(0, (4, 2)), label="mean confidence")
            axes.set_title(name, fontweight="bold" if name == "mean" else "normal")
            axes.set_ylim(0, 1.03)
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.set_xticks(severities)
            axes.grid(axis="y")
        figure.supxlabel("severity; 0 is the clean image", fontsize=9, color=INK)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
        return to_svg(figure)


def _curves(axes: Axes, history: Sequence[Mapping[str, float]], metric: str) -> None:
    epochs = range(1, len(history) + 1)
    marker_size = 4 if len(history) <= 30 else 0
    for phase, colour, marker, line in (("train", BLUE, "o", "-"), ("val", ORANGE, "D", (0, (5, 2)))):
        values = [epoch[f"{phase}_{metric}"] for epoch in history]
        axes.plot(epochs, values, color=colour, marker=marker, linestyle=line, markersize=marker_size, label=phase)
    axes.tick_params(colors=INK)
    axes.spines[:].set_color(FAINT)
