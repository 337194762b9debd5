"""Draws the figures of a study's report, each as an `<svg>` element in the theme's colours."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fmnist.adapters.matplotlib.theme import BLUE, FAINT, INK, ORANGE, new_figure, to_svg
from fmnist.domain.model.tuning.comparison import Comparison
from fmnist.domain.model.tuning.result import TuningResult
from fmnist.domain.model.tuning.trial import START, Trial, TrialState


def draw(result: TuningResult) -> dict[str, str]:
    """Draw every figure that the study has numbers for."""
    complete = [trial for trial in result.search if trial.state is TrialState.COMPLETE]
    figures = {"history": history(result.search), "accuracy_and_time": accuracy_and_time(complete)}
    if result.importance:
        figures["importance"] = importance(result.importance)
    if result.comparison.finalists:
        figures["finalists"] = finalists(result.comparison)
    return figures


def history(trials: Sequence[Trial]) -> str:
    """Draw the accuracy of each trial of the search, and the best so far."""
    with new_figure(3.4) as figure:
        axes = figure.add_subplot()
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        early = [trial for trial in trials if trial.state is not TrialState.COMPLETE]
        found = [trial.accuracy or 0.0 for trial in complete]
        # The scale is that of complete trials. Those that ended early are far below.
        floor = min(found) - max(0.01, max(found) - min(found)) / 2
        _points(axes, [(trial.number, max(floor, trial.accuracy or 0.0)) for trial in early], "x", INK, "ended early")
        _points(axes, [(trial.number, trial.accuracy or 0.0) for trial in complete], "o", BLUE, "complete")
        numbers, best = [trial.number for trial in complete], list(accumulate(found, max))
        axes.step(numbers, best, where="post", color=ORANGE, label="best so far")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.set_xlabel("trial")
        _accuracy_axis(axes)
        figure.legend(loc="outside upper center", ncols=3)
        return to_svg(figure)


def accuracy_and_time(complete: Sequence[Trial]) -> str:
    """Draw the accuracy of each complete trial against its training time, and mark the starting recipe."""
    with new_figure(3.4) as figure:
        axes = figure.add_subplot()
        points = {trial.number: (trial.seconds, trial.accuracy or 0.0) for trial in complete}
        _points(axes, [point for number, point in points.items() if number != START], "o", BLUE, "trial")
        _points(axes, [point for number, point in points.items() if number == START], "D", ORANGE, "start")
        for number, point in points.items():
            axes.annotate(str(number), point, xytext=(4, 3), textcoords="offset points", fontsize=7.5)
        axes.margins(x=0.08)  # room for the numbers
        axes.set_xlim(left=0)
        axes.set_xlabel("training time in seconds")
        _accuracy_axis(axes)
        figure.legend(loc="outside upper center", ncols=3)
        return to_svg(figure)


def importance(shares: Mapping[str, float]) -> str:
    """Draw the share of each field in the differences between trials, the greatest on top."""
    ranked = sorted(shares.items(), key=lambda each: each[1])
    with new_figure(0.9 + 0.28 * len(ranked)) as figure:
        axes = figure.add_subplot()
        bars = axes.barh([name for name, _ in ranked], [share for _, share in ranked], color=BLUE, height=0.65)
        axes.bar_label(bars, [f"{share:.0%}" for _, share in ranked], padding=3, fontsize=8)
        axes.set_xlim(0, 1.15 * max(shares.values()))  # room for the number of the longest bar
        axes.xaxis.set_visible(False)
        axes.spines[:].set_visible(False)
        return to_svg(figure)


def finalists(found: Comparison) -> str:
    """Draw the accuracy of the start and of each finalist for each seed, and their means."""
    arms = (found.start, *found.finalists)
    with new_figure(1.1 + 0.4 * len(arms)) as figure:
        axes = figure.add_subplot()
        for row, arm in enumerate(reversed(arms)):
            colour = ORANGE if arm.number == START else BLUE
            axes.plot(arm.accuracies, [row] * len(arm.accuracies), "o", color=colour, alpha=0.55, markersize=5)
            axes.plot([arm.mean] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=2.2)
        names = ["start" if arm.number == START else f"trial {arm.number}" for arm in reversed(arms)]
        axes.set_yticks(range(len(arms)), names)
        axes.set_ylim(-0.6, len(arms) - 0.4)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.set_xlabel("accuracy on val; a dot is a seed, a line is the mean")
        axes.grid(axis="x")
        axes.spines[:].set_visible(False)
        return to_svg(figure)


def _points(axes: Axes, points: Sequence[tuple[float, float]], marker: str, colour: str, label: str) -> None:
    if points:
        axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=5, alpha=0.75, label=label)


def _accuracy_axis(axes: Axes) -> None:
    axes.set_ylabel("accuracy on val")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes.grid(axis="y")
    axes.spines[:].set_color(FAINT)
