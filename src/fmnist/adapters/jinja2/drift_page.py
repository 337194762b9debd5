"""Renders the report on the recent traffic of a service."""

from collections.abc import Mapping

from fmnist.adapters.jinja2.page import render_page
from fmnist.adapters.matplotlib.drift_figures import draw
from fmnist.domain.model.errors import ReportFailed
from fmnist.domain.model.traffic.report import DriftReport


def render_drift(url: str, report: DriftReport) -> Mapping[str, bytes]:
    """Draw the report: `report.html`, and each figure as `NAME.svg`.

    Raises:
        ReportFailed: a library cannot draw it.
    """
    try:
        return render_page("drift.html", draw(report), url=url, report=report)
    except Exception as error:
        raise ReportFailed(f"the report on {url} cannot be drawn: {type(error).__name__}: {error}") from error
