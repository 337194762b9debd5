"""Progress without a terminal: one line per epoch, which marks the best one so far."""

from io import StringIO

from rich.console import Console

from fmnist.apps.progress import TrainingProgress
from fmnist.domain.model.training.run import Progress


def lines(accuracies: list[float], best: float = 0.0) -> list[str]:
    written = StringIO()
    with TrainingProgress(Console(file=written, width=80), best) as progress:
        for epoch, accuracy in enumerate(accuracies):
            progress(Progress(epoch, len(accuracies), 0, 10))
            progress(Progress(epoch, len(accuracies), 5, 10, loss=1.0))
            metrics = {"train_loss": 0.5, "train_acc": 0.9, "val_loss": 0.4, "val_acc": accuracy}
            progress(Progress(epoch, len(accuracies), 10, 10, metrics=metrics))
    return written.getvalue().splitlines()


def test_each_epoch_has_one_line_that_fits_and_the_best_ones_are_marked() -> None:
    assert lines([0.5, 0.7, 0.7, 1.0]) == [
        "epoch 1/4  train loss 0.500 acc  90.0%  val loss 0.400 acc  50.0%  best",
        "epoch 2/4  train loss 0.500 acc  90.0%  val loss 0.400 acc  70.0%  best",
        "epoch 3/4  train loss 0.500 acc  90.0%  val loss 0.400 acc  70.0%",
        "epoch 4/4  train loss 0.500 acc  90.0%  val loss 0.400 acc 100.0%  best",
    ]


def test_a_resumed_run_compares_with_its_earlier_epochs() -> None:
    assert [line.endswith("best") for line in lines([0.5, 0.8], best=0.7)] == [False, True]
