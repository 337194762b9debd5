"""Renders the report on a data version."""

from collections import Counter
from collections.abc import Mapping

from fmnist.adapters.jinja2.page import render_page
from fmnist.domain.model.audit.result import DataAudit
from fmnist.domain.model.errors import ReportFailed

_PAIRS, _AROUND, _LABELS, _OUTLIERS, _CONFUSIONS = 24, 8, 64, 24, 10


def render_audit(audit: DataAudit) -> Mapping[str, bytes]:
    """Draw the report of an audit, `report.html`; raises `ReportFailed` if a library cannot draw it."""
    try:
        near = len(audit.near)
        return render_page(
            "audit.html",
            {},
            audit=audit,
            found=audit.document(),
            names=audit.dataset.class_names,
            images=audit.data.images,
            labels=audit.data.labels,
            place=lambda row: "{} {}".format(*audit.place(row)),
            equal=[(*group[:2], 1.0) for group in audit.equal[:_PAIRS]],
            alike=audit.pairs[: min(near, _PAIRS)],
            above=audit.pairs[max(near - _AROUND, 0) : near],
            below=audit.pairs[near : near + _AROUND],
            doubtful=audit.doubtful[:_LABELS],
            confusions=Counter((given, suggested) for _, given, suggested in audit.doubtful).most_common(_CONFUSIONS),
            outliers=audit.outliers[:_OUTLIERS],
        )
    except Exception as error:
        name = audit.dataset.version
        raise ReportFailed(f"the report on {name} cannot be drawn: {type(error).__name__}: {error}") from error
