"""Follows what a run has not recorded yet, so that the message after an outage can list it."""

from dataclasses import dataclass, field

from fmnist.domain.services.training.epoch_log import EpochLog

FINAL_METRICS, MODEL, REPORT, END = "the metrics of the chosen epoch", "the model", "its report", "its final status"


@dataclass(slots=True)
class Unrecorded:
    """What one run has not recorded. The steps after training count as unrecorded only once training is over.

    Attributes:
        epochs: the run's epochs, whose metrics may be missing.
        steps: steps after training that are not recorded yet.
    """

    epochs: EpochLog
    steps: list[str] = field(default_factory=list)

    def trained(self) -> None:
        """Note that training is over, so that all later steps are unrecorded."""
        self.steps = [FINAL_METRICS, MODEL, REPORT, END]

    def done(self, step: str) -> None:
        """Note that a step is recorded."""
        self.steps.remove(step)

    def __str__(self) -> str:
        return "; ".join(filter(None, [str(self.epochs), *self.steps]))
