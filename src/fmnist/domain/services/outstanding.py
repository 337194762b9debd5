"""What of a run is not recorded yet, so that whoever meets an outage of the tracker or store is told exactly that."""

import logging
from dataclasses import dataclass, field

from fmnist.domain.model.training import Progress
from fmnist.ports.compute import OnProgress

logger = logging.getLogger(__name__)

FINAL_METRICS, MODEL, REPORT, END = "the metrics of the chosen epoch", "the model", "its report", "its end"


@dataclass(slots=True)
class Outstanding:
    """Follows one run. What comes after training is outstanding as soon as there is something to record.

    Attributes:
        epochs: those that the tracker has not taken, by their index.
        steps: what is left of the run's end, once it is trained.
    """

    epochs: tuple[int, ...] = ()
    steps: list[str] = field(default_factory=list)

    def watch(self, on_progress: OnProgress) -> OnProgress:
        """Return an `on_progress` that passes reports on, and says when the tracker falls behind and catches up."""

        def watched(report: Progress) -> None:
            if report.metrics is not None:
                self._note(report.unrecorded)
            on_progress(report)

        return watched

    def trained(self) -> None:
        """Note that training is over, and that all the rest is to be recorded now."""
        self.steps = [FINAL_METRICS, MODEL, REPORT, END]

    def done(self, step: str) -> None:
        """Note that a step is recorded; the first one takes the epochs along."""
        self.steps.remove(step)
        if step == FINAL_METRICS:
            self.epochs = ()

    def __str__(self) -> str:
        return "; ".join([*([_named(self.epochs)] if self.epochs else []), *self.steps])

    def _note(self, unrecorded: tuple[int, ...]) -> None:
        if unrecorded and not self.epochs:
            logger.warning(
                "the tracker does not take %s; training goes on, and the metrics are recorded when it is back",
                _named(unrecorded),
            )
        elif self.epochs and not unrecorded:
            logger.info("the tracker is back, and has all epochs so far")
        self.epochs = unrecorded


def _named(epochs: tuple[int, ...]) -> str:
    """Name epochs as the progress does, which counts from 1."""
    numbers = ", ".join(str(epoch + 1) for epoch in epochs)
    return f"the metrics of epoch{'s' if len(epochs) > 1 else ''} {numbers}"
