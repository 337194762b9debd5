"""Shows the progress of a study: a live table of its trials on a terminal, and a line per trial elsewhere."""

import time

from rich.console import Console
from rich.live import Live
from rich.table import Table

from fmnist.apps.progress import Display
from fmnist.domain.model.tuning.result import TuningTask
from fmnist.domain.model.tuning.trial import Trial, TrialState

_OTHER_LINES = 6  # of the terminal, besides the rows: head, caption, and a log line or two


class TuningProgress(Display):
    """Call it with each change of a trial, inside its `with` block. It writes to stderr only."""

    def __init__(self, console: Console, task: TuningTask) -> None:
        self._console = console
        self._task = task
        self._trials: dict[tuple[int, int], Trial] = {}
        self._began = time.monotonic()
        self._live = Live(
            get_renderable=self._table,
            console=console,
            auto_refresh=console.is_terminal,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __call__(self, trial: Trial) -> None:
        """Show a trial."""
        self._trials[trial.number, trial.seed] = trial
        if not self._console.is_terminal and trial.state is not TrialState.RUNNING:
            accuracy = "" if trial.accuracy is None else f"  val acc {trial.accuracy:.2%}"
            self._console.print(
                f"trial {_name(trial)} {trial.state}{accuracy}  {self._epochs(trial)} epochs  {trial.seconds:.0f} s  "
                f"changes: {self._task.described(trial)}",
                soft_wrap=True,
            )

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), caption=self._caption(), caption_justify="left")
        table.add_column("trial", no_wrap=True)
        table.add_column("changes of the starting recipe", ratio=1)
        for column in ("epochs", "val acc", "time", "state"):
            table.add_column(column, justify="left" if column == "state" else "right", no_wrap=True)
        trials = list(self._trials.values())
        # A row may need two lines.
        rows = max(3, (self._console.height - _OTHER_LINES) // 2)
        best = self._best()
        for trial in [one for one in trials[:-rows] if one in (best, trials[0])] + trials[-rows:]:
            table.add_row(
                _name(trial),
                self._task.described(trial),
                self._epochs(trial),
                "" if trial.accuracy is None else f"{trial.accuracy:.2%}",
                f"{trial.seconds:.0f} s" if trial.seconds else "",
                trial.state,
                style="bold" if trial is best else "dim" if trial.state is TrialState.PRUNED else "",
            )
        return table

    def _caption(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        best, search = self._best(), sum(trial.seed == 0 for trial in list(self._trials.values()))
        leader = f", best of the search {_name(best)} with {best.accuracy:.2%}" if best else ""
        budget = self._task.budget
        limits = [f"{budget.trials} trials"] if budget.trials else []
        limits += [f"{budget.seconds / 60:g} minutes"] if budget.seconds else []
        return f"{search} trials{leader}; {minutes}:{seconds:02} since the start, budget {' and '.join(limits)}"

    def _best(self) -> Trial | None:
        complete = [one for one in list(self._trials.values()) if one.seed == 0 and one.state is TrialState.COMPLETE]
        return max(complete, key=lambda trial: trial.accuracy or 0.0, default=None)

    def _epochs(self, trial: Trial) -> str:
        return f"{len(trial.accuracies)}/{self._task.start.max_epochs}"


def _name(trial: Trial) -> str:
    return f"{trial.number}" + (f" seed {trial.seed}" if trial.seed else "")
