"""Draws the figures of a drift report, each as an `<svg>` element in the theme's colours."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from fmnist.adapters.matplotlib.theme import BLUE, ORANGE, label, new_figure, to_svg
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.traffic.report import DriftReport, StatisticReport
from fmnist.domain.model.traffic.sketch import Statistic

_UNITS = {
    Statistic.PIXEL_MEAN: "mean of the pixels, 0 to 255",
    Statistic.PIXEL_SPREAD: "standard deviation of the pixels",
    Statistic.INK_SHARE: "share of pixels from 32 on",
    Statistic.CONFIDENCE: "confidence of the answer",
    Statistic.ENTROPY: "entropy of the answer, in nats",
    Statistic.ENERGY: "energy: low for strange pictures",
}


def draw(report: DriftReport) -> dict[str, str]:
    """Draw the histograms of the window and of the reference, for each statistic."""
    return {name: histogram(Statistic(name), each) for name, each in report.statistics.items()}


def histogram(statistic: Statistic, found: StatisticReport) -> str:
    """Draw both histograms of one statistic as shares of their images."""
    with new_figure(2.6) as figure:
        axes = figure.add_subplot()
        if statistic is Statistic.CLASS:
            _bars(axes, found)
        else:
            _steps(axes, found)
            axes.set_xlabel(_UNITS[statistic])
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        figure.legend(loc="outside upper center", ncols=2)
        return to_svg(figure)


def _steps(axes: Axes, found: StatisticReport) -> None:
    used = np.flatnonzero(np.array(found.window) + np.array(found.reference or 0))
    first, last = (used[0], used[-1] + 1) if len(used) else (0, len(found.window))
    edges = found.edges[first : last + 1]
    if found.reference:
        axes.stairs(_shares(found.reference)[first:last], edges, fill=True, color=BLUE, alpha=0.35, label="val")
    axes.stairs(_shares(found.window)[first:last], edges, color=ORANGE, linewidth=1.8, label="window")


def _bars(axes: Axes, found: StatisticReport) -> None:
    places = np.arange(len(found.window))
    if found.reference:
        axes.bar(places - 0.2, _shares(found.reference), 0.4, color=BLUE, alpha=0.5, label="val")
    axes.bar(places + 0.2, _shares(found.window), 0.4, color=ORANGE, label="window")
    axes.set_xticks(places, [label(name) for name in CLASS_NAMES], rotation=40, ha="right")


def _shares(counts: tuple[int, ...]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(counts) / max(1, sum(counts))
