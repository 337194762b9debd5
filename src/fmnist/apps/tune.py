"""`fmnist tune`: searches for a better recipe, and says whether the best one is better beyond noise."""

import re
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fmnist.apps.outputs import AsJson, check_output_dir, examples, print_json, write_outputs
from fmnist.apps.process import begin, leaving_at_once
from fmnist.apps.terminal import stderr
from fmnist.apps.train import read_recipe
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.files import read_toml
from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.tuning.budget import Budget
from fmnist.domain.model.tuning.result import RECIPE_FILE, TuningTask
from fmnist.domain.model.tuning.space import SearchSpace
from fmnist.domain.model.validation import check

if TYPE_CHECKING:
    from fmnist.domain.model.tuning.result import TuningResult
    from fmnist.domain.services.tuning.tune import TunedRecipe

EXAMPLES = examples(
    "fmnist tune",
    "fmnist tune --minutes 60",
    "fmnist tune --preset small --space space.toml --trials 40",
    "fmnist tune --trials 50 --compute ray",
)

_DEFAULT_SPACE = Path(__file__).with_name("tuning_space.toml")
_DEFAULT_MINUTES = 15.0


def tune(
    preset: Annotated[
        str | None,
        typer.Option(
            help=f"Starting recipe: {', '.join(PRESETS)}, or a TOML file.  \\[default: FMNIST_PRESET, else fast]"
        ),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with the values to search.  \\[default: learning rate, batch size, weight decay, label "
            "smoothing, augmentation, and cnn or cnn-wide]",
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="Trials of the whole study, with the starting recipe.  \\[default: no limit]")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Minutes of the whole study. A trial that runs then goes on to its end.  \\[default: 15; no limit if "
            "--trials is given]"
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(help="Seeds to train the finalists and the starting recipe on, as far as time allows.")
    ] = 5,
    compute: Annotated[
        Literal["local", "ray"],
        typer.Option(help="local: one trial at a time, in this process; ray: several at a time, on a Ray cluster."),
    ] = "local",
    *,
    as_json: AsJson = False,
) -> None:
    """Search for a better recipe than the starting one, and compare the best on several seeds.

    The result is a recipe for fmnist train --preset. The same command continues an interrupted study. A larger budget
    continues a finished one. The test split is not read.
    """
    settings = begin()
    settings.require_data_contract()
    start = preset or settings.fmnist_preset
    recipe = read_recipe(start)
    task = TuningTask(
        label=re.sub(r"[^\w.-]", "_", Path(start).stem),
        start=recipe,
        space=_read_space(space or _default_space(start, recipe), recipe),
        budget=_budget(trials, minutes, seeds),
        data_version=settings.dvc_data_version,
    )
    check_output_dir(settings.studies, called="the folder of studies")
    with stderr().status("loading torch and mlflow"):
        from fmnist.apps.containers.tune import TuneContainer
        from fmnist.apps.tuning_progress import TuningProgress

        container = TuneContainer(settings=settings, compute_name=compute)
        service, provenance = container.tuning(), container.provenance()
    # A training that was given up would abort the interpreter at its end. Ray needs that end, and prints to stdout.
    ending = leaving_at_once() if compute == "local" else nullcontext()
    with ending, TuningProgress(stderr(), task) as progress, redirect_stdout(sys.stderr):
        tuned: TunedRecipe = service.tune(task, provenance, progress)
    directory = settings.studies / tuned.result.study
    write_outputs(directory, tuned.files)
    if as_json:
        print_json(_summary(tuned.result, directory))
    else:
        from fmnist.apps.tuning_report import print_result

        print_result(tuned.result, directory)


def _budget(trials: int | None, minutes: float | None, seeds: int) -> Budget:
    if trials is None and minutes is None:
        minutes = _DEFAULT_MINUTES
    seconds = None
    if minutes is not None:
        seconds = 60 * minutes
        check(0 < seconds < float("inf"), "--minutes", "a finite number above 0", f"{minutes:g}")
    try:
        return Budget(trials=trials, seconds=seconds, seeds=seeds)
    except InvalidSetting as error:  # it begins with the field, which is the name of the option
        raise InvalidSetting(f"--{error}") from error


def _default_space(preset: str, start: Recipe) -> Path:
    if start.optimizer != "sgd":
        raise InvalidSetting(
            f"the default search space is for the optimizer sgd, and the preset {preset} has {start.optimizer}: pass a "
            "file with learning rates for it to --space, or another --preset"
        )
    return _DEFAULT_SPACE


def _read_space(file: Path, start: Recipe) -> SearchSpace:
    """Return the search space in this TOML file, extended to the starting recipe."""
    try:
        return SearchSpace.from_mapping(read_toml(file)).holding(start)
    except (OSError, ValueError, InvalidSetting) as error:
        raise InvalidSetting(f"space file {file} cannot be used: {error}") from error


def _summary(result: "TuningResult", directory: Path) -> dict[str, Any]:
    found = result.comparison
    return {
        "study": result.study,
        "run_id": result.run_id,
        "verdict": found.verdict.name.lower(),
        "message": result.verdict(),
        "difference": found.difference if found.best else None,
        "interval": found.interval,
        "chosen_trial": result.chosen.number,
        "recipe": str(directory / RECIPE_FILE),
        "finalists": {arm.number: list(arm.accuracies) for arm in (found.start, *found.finalists)},
        "trials": [
            {
                "number": trial.number,
                "state": result.state(trial),
                "val_acc": trial.accuracy,
                "epochs": len(trial.accuracies),
                "seconds": round(trial.seconds, 1),
                "changes": result.task.changes(trial),
            }
            for trial in result.search
        ],
        "seconds": round(result.seconds, 1),
    }
