"""The terminal output of a finished training run: accuracy, where the model is, and the next commands."""

import shlex

import numpy as np

from fmnist.apps.settings import Settings
from fmnist.apps.terminal import print_pairs, stdout
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.evaluation.metrics import Evaluation, PerClass, wilson_interval
from fmnist.domain.model.training.run import TrainingResult


def print_result(result: TrainingResult, settings: Settings) -> None:
    """Print a finished run's figures and the next commands."""
    console = stdout()
    if result.test:
        rows = [
            ("test accuracy", _accuracy(result.test)),
            ("", "measured once, one view of each image"),
            ("weakest classes", _weakest(result.test)),
        ]
    else:
        rows = [("test accuracy", "not measured: this data version has no test split")]
    rows += [
        ("val accuracy", _accuracy(result.val)),
        ("chosen epoch", f"{result.best_epoch + 1} of {len(result.history)}, by val accuracy"),
        ("training time", f"{result.seconds:.0f} s"),
        ("model", result.model.uri),
        ("run", result.run_id),
    ]
    print_pairs(rows)
    # These commands name no model: they use the newest one, which is this one.
    console.print("\nNext:")
    console.print(f"  fmnist predict --split {'test' if result.test else 'val'} --index 0-4")
    console.print("  fmnist predict PICTURE.png")
    console.print(f"  fmnist evaluate {'' if result.test else '--split val '}--output-dir report")
    console.print(f"  {where_runs_are(settings)}", soft_wrap=True, markup=False, highlight=False)


def where_runs_are(settings: Settings) -> str:
    """Return the command or the server address that shows runs and models. Neither has a secret in it."""
    shown = str(settings.tracking_uri)
    if shown.startswith(("http://", "https://")):
        return f"runs and models are at {shown}"
    # With credentials in the URI, the command reads the variable instead.
    store = shlex.quote(shown) if shown == settings.tracking_uri.reveal() else '"$MLFLOW_TRACKING_URI"'
    return f"mlflow ui --backend-store-uri {store}"


def _accuracy(evaluation: Evaluation) -> str:
    right, images = int(np.trace(evaluation.confusion)), int(evaluation.confusion.sum())
    low, high = wilson_interval(right, images)
    return f"{evaluation.accuracy:.2%} of {images:,} images (95 % interval {low:.1%}-{high:.1%})"


def _weakest(evaluation: Evaluation) -> str:
    recall = PerClass.of(evaluation.confusion).recall
    return ", ".join(f"{CLASS_NAMES[label]} {recall[label]:.1%}" for label in np.argsort(recall)[:3])
