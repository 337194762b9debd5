"""Figures show any class name as it is, and use only our own settings."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace

import matplotlib as mpl
import numpy as np
from hypothesis import example, given, settings

from fmnist.adapters.matplotlib.figures import draw, learning_curves
from fmnist.adapters.matplotlib.theme import as_file, in_page
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.text import one_line
from tests.unit.hostile import MARKUP, names
from tests.unit.reports import a_report

REPORT = a_report()
EVALUATION = REPORT.measured.evaluation
# Without mistakes and a story, because each number takes time to draw.
BARE = replace(
    REPORT,
    measured=replace(REPORT.measured, evaluation=replace(EVALUATION, confusion=np.diag(np.diag(EVALUATION.confusion)))),
    story=None,
)


def drawn(class_names: Sequence[str]) -> dict[str, str]:
    figures = draw(replace(BARE, info=replace(BARE.info, class_names=tuple(class_names))))
    return {name: figures[name] for name in ("confusion_matrix", "classes")}


def words(svg: bytes | str) -> list[str]:
    return ["".join(text.itertext()) for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own bytes


def is_shown(name: str, shown: Sequence[str]) -> bool:
    """Leading, trailing and repeated spaces are not drawn."""
    return any(
        text.strip() == name.strip() or (text.endswith("…") and name.strip().startswith(text.removesuffix("…").strip()))
        for text in shown
    )


@settings(max_examples=4)
@given(names)
@example(MARKUP[:10])
@example(MARKUP[10:20])
@example(MARKUP[-10:])
def test_any_class_name_is_drawn_as_text(class_names: list[str]) -> None:
    for svg in drawn(class_names).values():
        for shown in (words(as_file(svg)), words(in_page(svg))):
            for name in class_names:
                assert is_shown(one_line(name), shown), (name, shown)


def test_names_of_any_length_leave_room_for_the_figure() -> None:
    # Matplotlib warns if a figure has no room, and the suite turns warnings into errors.
    assert drawn([letter * 300 for letter in "WMQ@%ABCDE"])


def test_figures_do_not_depend_on_the_user_s_settings() -> None:
    plain = draw(REPORT)
    with mpl.rc_context({"text.usetex": True, "font.size": 30, "axes.grid": True, "figure.dpi": 50}):
        assert draw(REPORT) == plain


def test_class_names_of_fashion_mnist_are_not_cut() -> None:
    for svg in drawn(CLASS_NAMES).values():
        assert set(CLASS_NAMES) <= set(words(as_file(svg)))


def test_one_epoch_is_enough_for_learning_curves() -> None:
    story = REPORT.story
    assert story is not None
    assert learning_curves(replace(story, history=story.history[:1], best_epoch=0))
