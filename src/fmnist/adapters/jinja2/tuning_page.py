"""Renders the report on a study."""

from collections import Counter
from collections.abc import Mapping

from fmnist.adapters.jinja2.page import render_page
from fmnist.adapters.matplotlib.tuning_figures import draw
from fmnist.domain.model.errors import ReportFailed
from fmnist.domain.model.tuning.result import TuningResult


def render_tuning(result: TuningResult) -> Mapping[str, bytes]:
    """Draw the report of a study: `report.html`, and each figure as `NAME.svg`.

    Raises:
        ReportFailed: a library cannot draw it.
    """
    try:
        ranked = sorted(result.search, key=lambda trial: (len(trial.accuracies), trial.accuracy or 0.0), reverse=True)
        return render_page(
            "tuning.html",
            draw(result),
            result=result,
            task=result.task,
            comparison=result.comparison,
            states=Counter(result.state(trial) for trial in result.search),
            ranked=ranked,
            recipe=result.recipe_toml().splitlines(),
        )
    except Exception as error:
        raise ReportFailed(
            f"the report of the study {result.study} cannot be drawn: {type(error).__name__}: {error}"
        ) from error
