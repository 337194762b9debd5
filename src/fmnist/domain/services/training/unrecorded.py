"""What of a run is not recorded yet, so that whoever meets an outage of the tracker or store is told exactly that."""

from dataclasses import dataclass, field

from fmnist.domain.services.training.epoch_log import EpochLog

FINAL_METRICS, MODEL, REPORT, END = "the metrics of the chosen epoch", "the model", "its report", "its end"


@dataclass(slots=True)
class Unrecorded:
    """Follows one run. What comes after training is outstanding as soon as there is something to record.

    Attributes:
        epochs: whose metrics may be missing.
        steps: what is left of the run's end, once it is trained.
    """

    epochs: EpochLog
    steps: list[str] = field(default_factory=list)

    def trained(self) -> None:
        """Note that training is over, and that all the rest is to be recorded now."""
        self.steps = [FINAL_METRICS, MODEL, REPORT, END]

    def done(self, step: str) -> None:
        """Note that a step is recorded."""
        self.steps.remove(step)

    def __str__(self) -> str:
        return "; ".join(filter(None, [str(self.epochs), *self.steps]))
