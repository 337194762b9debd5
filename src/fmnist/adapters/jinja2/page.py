"""Renders a page: one self-contained HTML file without scripts, and its figures as files.

With Jinja, the template is readable HTML, and every value in it is escaped.
"""

import base64
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fmnist.adapters.matplotlib.theme import as_file, in_page
from fmnist.adapters.pillow.files import encode_picture
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.text import one_line


def render_page(template: str, figures: Mapping[str, str], **values: Any) -> dict[str, bytes]:
    """Return `report.html`, and each figure as `NAME.svg`. The template gets the figures and the values."""
    # Safe: we draw these from numbers and escaped names.
    drawn = {name: Markup(in_page(svg)) for name, svg in figures.items()}  # noqa: S704
    page = _environment().get_template(template).render(figures=drawn, **values)
    return {"report.html": page.encode(), **{f"{name}.svg": as_file(svg) for name, svg in figures.items()}}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("fmnist.adapters.jinja2"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "interval": _interval, "data_uri": _data_uri}
    return environment


def _shown(value: Any) -> Any:
    return one_line(value) if type(value) is str else value  # a figure is Markup: its line breaks stay


def _percent(share: float, digits: int = 1) -> str:
    return f"{share:.{digits}%}"


def _interval(bounds: tuple[float, float]) -> str:
    return f"{100 * bounds[0]:.1f} to {bounds[1]:.1%}"


def _data_uri(image: Images) -> str:
    return "data:image/png;base64," + base64.b64encode(encode_picture(image, "PNG")).decode()
