"""Shows training progress: a live bar on a terminal, and one line per epoch. It writes to stderr only."""

from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fmnist.domain.model.training.run import Progress as Report


class Display:
    """Shows `_live` on a terminal, inside its `with` block."""

    _console: Console
    _live: Live | Progress

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()


class TrainingProgress(Display):
    """Call it with each report, inside its `with` block. `best` is the highest `val_acc` of earlier attempts."""

    def __init__(self, console: Console, best: float = 0.0) -> None:
        self._console = console
        self._best = best
        self._bar = self._live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),  # fits into 80 columns, with room for an echoed ^C
            TextColumn("{task.fields[loss]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting workers, reading data", total=None, loss="")

    def __call__(self, report: Report) -> None:
        """Show one report."""
        done = report.epoch * report.steps + report.step
        is_last = report.epoch + 1 == report.epochs and report.metrics is not None
        description = "evaluating, saving, registering" if is_last else f"epoch {report.epoch + 1}/{report.epochs}"
        loss = "" if report.loss is None else f"loss {report.loss:.3f}"
        self._bar.update(
            self._task, total=report.epochs * report.steps, completed=done, description=description, loss=loss
        )
        if report.metrics is not None:
            self._print_epoch(report)

    def _print_epoch(self, report: Report) -> None:
        metrics = report.metrics or {}
        accuracy = metrics["val_acc"]
        mark = "  best" if accuracy > self._best else ""
        self._best = max(self._best, accuracy)
        width = len(str(report.epochs))
        self._console.print(
            f"epoch {report.epoch + 1:>{width}}/{report.epochs}  "
            f"train loss {metrics['train_loss']:.3f} acc {metrics['train_acc']:6.1%}  "
            f"val loss {metrics['val_loss']:.3f} acc {accuracy:6.1%}{mark}"
        )
