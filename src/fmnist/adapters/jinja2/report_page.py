"""Renders the report on a model."""

from collections.abc import Mapping

from fmnist.adapters.jinja2.page import render_page
from fmnist.adapters.matplotlib.figures import draw
from fmnist.domain.model.errors import ReportFailed
from fmnist.domain.model.evaluation.report import REPEATED, ModelReport

_CONFUSIONS = 5


def render_report(uri: str, report: ModelReport) -> Mapping[str, bytes]:
    """Draw the report of the model of this URI: `report.html`, and each figure as `NAME.svg`.

    Raises:
        ReportFailed: a library cannot draw it.
    """
    try:
        return render_page(
            "report.html",
            draw(report),
            uri=uri,
            report=report,
            measured=report.measured,
            evaluation=report.measured.evaluation,
            names=report.info.class_names,
            classes=report.measured.classes(report.info.class_names),
            confusions=report.measured.confusions(_CONFUSIONS),
            repeated=REPEATED,
        )
    except Exception as error:
        raise ReportFailed(f"the report of {uri} cannot be drawn: {type(error).__name__}: {error}") from error
