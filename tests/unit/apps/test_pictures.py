"""Pictures fit into their terminal, in colour or in plain text."""

import io
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from fmnist.apps.pictures import Answer, draw_answers
from fmnist.domain.model.data.images import CLASS_NAMES, Images
from fmnist.domain.model.errors import BadInput

RAMP = np.linspace(0, 255, 28).astype(np.uint8).repeat(28).reshape(1, 28, 28)
RIGHT = Answer("Sneaker", 0.981, "Sneaker")
WRONG = Answer("Shirt", 0.552, "T-shirt/top")
UNKNOWN = Answer("Bag", 1.0)
COLOUR = {"force_terminal": True, "color_system": "truecolor", "no_color": False}


def drawn(
    images: Images,
    answers: list[Answer],
    *,
    encoding: str = "utf-8",
    width: int = 100,
    maps: Any = None,
    **options: Any,
) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="")
    draw_answers(Console(file=file, width=width, legacy_windows=False, **options), images, answers, maps)
    file.flush()
    return raw.getvalue().decode(encoding)


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_half_block_shows_two_pixels_in_their_greys() -> None:
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 0, 0], image[0, 1, 0] = 200, 100
    first_cell = drawn(image, [UNKNOWN], **COLOUR).split("▀")[0]
    assert first_cell == "\x1b[38;2;200;200;200;48;2;100;100;100m"


def test_a_picture_is_28_columns_by_14_rows_with_its_prediction_below() -> None:
    lines = without_colours(drawn(RAMP, [UNKNOWN], **COLOUR)).splitlines()
    assert [line.strip() for line in lines[:14]] == ["▀" * 28] * 14
    assert lines[14].strip() == "Bag 100 %"


@pytest.mark.parametrize(
    "options",
    [
        {"force_terminal": False},
        {"force_terminal": True, "color_system": None},
        {**COLOUR, "no_color": True},
        {**COLOUR, "encoding": "ascii"},
    ],
)
def test_without_colour_or_unicode_a_picture_is_plain_glyphs(options: dict[str, Any]) -> None:
    lines = without_colours(drawn(RAMP, [UNKNOWN], **options)).splitlines()
    glyphs = [line[0] for line in lines[:14]]
    assert glyphs == sorted(glyphs, key=" .:-=+*#%@".index)
    assert glyphs[0] == " "
    assert glyphs[-1] == "@"
    assert lines[13] == "@" * 28 + " " * (len(lines[13]) - 28)


@pytest.mark.parametrize(
    ("answer", "unicode", "ascii_only"),
    [
        (RIGHT, ["Sneaker 98 % ✓"], ["Sneaker 98 % right"]),
        (WRONG, ["Shirt 55 % ✗ (T-shirt/top)"], ["Shirt 55 % wrong", "(T-shirt/top)"]),
        (UNKNOWN, ["Bag 100 %"], ["Bag 100 %"]),
        (
            Answer("T-shirt/top", 0.5, "Ankle boot"),
            ["T-shirt/top 50 % ✗", "(Ankle boot)"],
            ["T-shirt/top 50 % wrong", "(Ankle boot)"],
        ),
    ],
)
def test_a_caption_shows_the_predicted_and_the_true_class(
    answer: Answer, unicode: list[str], ascii_only: list[str]
) -> None:
    for encoding, expected in (("utf-8", unicode), ("ascii", ascii_only)):
        lines = drawn(RAMP, [answer], encoding=encoding).splitlines()[14:]
        assert [line.strip() for line in lines if line.strip()] == expected


def test_right_is_green_and_wrong_is_red() -> None:
    assert "\x1b[32m ✓" in drawn(RAMP, [RIGHT], **COLOUR)
    assert "\x1b[31m ✗" in drawn(RAMP, [WRONG], **COLOUR)


@pytest.mark.parametrize(("width", "per_row"), [(20, 1), (28, 1), (58, 1), (59, 2), (80, 2), (90, 3), (121, 4)])
def test_as_many_pictures_are_side_by_side_as_fit_into_the_terminal(width: int, per_row: int) -> None:
    images, answers = RAMP.repeat(5, axis=0), [UNKNOWN] * 5
    lines = without_colours(drawn(images, answers, width=width, **COLOUR)).splitlines()
    captions = [line.count("Bag") for line in lines if "Bag" in line]
    assert captions == [per_row] * (5 // per_row) + [5 % per_row] * (5 % per_row > 0)


names = st.sampled_from(CLASS_NAMES)


@given(
    st.lists(st.builds(Answer, names, st.floats(0, 1), st.none() | names), max_size=7),
    st.integers(1, 130),
    st.sampled_from([COLOUR, {"force_terminal": False}]),
)
def test_no_line_is_wider_than_the_terminal(answers: list[Answer], width: int, options: dict[str, Any]) -> None:
    text = without_colours(drawn(RAMP.repeat(len(answers), axis=0), answers, width=width, **options))
    assert all(cell_len(line) <= width for line in text.splitlines())


def test_every_image_needs_a_prediction() -> None:
    with pytest.raises(BadInput, match="1 images and 2 answers"):
        drawn(RAMP, [RIGHT, WRONG])


FALLS = np.zeros((28, 28), np.float32)
FALLS[0, 0], FALLS[1, 1] = 0.5, -0.5


def test_an_explanation_is_beside_its_picture_with_the_largest_fall() -> None:
    lines = drawn(RAMP.repeat(2, axis=0), [UNKNOWN, RIGHT], width=60, maps=[FALLS, FALLS / 2]).splitlines()
    captions = [line.split("  ") for line in lines if "falls" in line]
    assert [[part.strip() for part in line if part.strip()] for line in captions] == [
        ["Bag 100 %", "falls by up to 50 %"],
        ["Sneaker 98 % ✓", "falls by up to 25 %"],
    ]


def test_what_speaks_for_the_class_is_orange_and_what_speaks_against_it_blue() -> None:
    black = np.zeros((1, 28, 28), np.uint8)
    cells = drawn(black, [UNKNOWN], maps=[FALLS], **COLOUR).split("▀")
    first, second = cells[28:30]
    assert "38;2;213;94;0;48;2;0;0;0m" in first
    assert "38;2;0;0;0;48;2;0;114;178m" in second


def test_in_plain_text_the_brightest_character_speaks_most_for_the_class() -> None:
    falls = np.linspace(-0.2, 0.1, 28, dtype=np.float32).repeat(28).reshape(28, 28)
    lines = drawn(RAMP, [UNKNOWN], maps=[falls]).splitlines()[:14]
    glyphs = [line.ljust(59)[31] for line in lines]
    assert (glyphs[:8], glyphs[-1]) == ([" "] * 8, "@")


def test_an_explanation_in_which_nothing_matters_is_plain() -> None:
    assert "falls by up to 0 %" in drawn(RAMP, [UNKNOWN], maps=[np.zeros((28, 28), np.float32)], **COLOUR)
