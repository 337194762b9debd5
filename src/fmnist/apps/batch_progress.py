"""Shows the progress of a batch prediction on stderr: a live bar on a terminal, else a line from time to time."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from fmnist.apps.progress import Display
from fmnist.domain.services.batch.run import BatchProgress

_LINE_SECONDS = 10.0


class BatchProgressBar(Display):
    """Call it with each report, inside its `with` block.

    Attributes:
        last: the last report, if there was one.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.last: BatchProgress | None = None
        self._console = console
        self._clock = clock
        self._started = self._told = clock()
        self._bar = self._live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),  # fits into 80 columns, with room for an echoed ^C
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("reading", total=None, rate="")

    def __call__(self, report: BatchProgress) -> None:
        """Show one report."""
        now = self._clock()
        if self.last is None:
            self._started = self._told = now  # the model loads before it, and a cluster starts
        self.last = report
        seconds = now - self._started
        speed = report.rows / seconds if seconds > 0 else 0.0
        parts, rate = f"{report.done:,} of {report.parts:,} parts", f"{speed:,.0f} images/s"
        self._bar.update(self._task, total=report.expected, completed=report.rows, description=parts, rate=rate)
        if not self._console.is_terminal and now - self._told >= _LINE_SECONDS:
            self._told = now
            of, left = "", ""
            if report.expected and speed:
                of = f" of {report.expected:,}"
                left = f", {max(0, report.expected - report.rows) / speed:.0f} s left"
            self._console.print(f"{report.rows:,}{of} images, {rate}{left}, {parts}", soft_wrap=True)
