"""The search space: what it accepts, what it refuses by name, and that it always holds the starting recipe."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.tuning.space import SEARCHED, Choices, Range, SearchSpace


def space(text: str) -> SearchSpace:
    return SearchSpace.from_mapping(tomllib.loads(text))


def test_ranges_and_choices_are_read() -> None:
    found = space(
        'lr = {low = 1e-2, high = 1, log = true}\nshift = {low = 0, high = 2}\narchitecture = ["cnn", "cnn-wide"]'
    )
    assert found.dimensions == {
        "lr": Range(0.01, 1.0, log=True),
        "shift": Range(0, 2),
        "architecture": Choices(("cnn", "cnn-wide")),
    }
    assert [type(found.dimensions[name].low) for name in ("lr", "shift")] == [float, int]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a search space must be one or more of lr, batch_size"),
        ("learning_rate = [0.1, 0.2]", "learning_rate cannot be searched: expected some of lr, batch_size"),
        ("max_epochs = [1, 2]", "max_epochs cannot be searched"),
        ("lr = 0.1", r"lr must be \[a, b, ...\] or {low = a, high = b, log = true or false}, found 0.1"),
        ("lr = [0.1]", r"lr must be two or more different values, found \[0.1\]"),
        ("lr = [0.1, 0.1]", "lr must be two or more different values"),
        ("lr = [1, 1.0]", "lr must be two or more different values"),
        ("lr = {low = 0.1}", "lr must be .*low = a, high = b.*, found {'low': 0.1}"),
        ("lr = {low = 0.1, high = 1, step = 2}", "lr must be .*found .*'step': 2"),
        ("lr = {low = 1.0, high = 0.1}", "lr must be a range whose low is below its high"),
        ("lr = {low = 0.0, high = 0.1, log = true}", "lr must be above 0, found 0.0"),
        ("weight_decay = {low = 0, high = 0.1, log = true}", "weight_decay must be a range whose low is above 0"),
        ("lr = {low = 0.1, high = 1, log = 1}", "lr must be with log = true or log = false"),
        ("label_smoothing = {low = 0, high = 1}", r"label_smoothing must be in \[0, 1\), found 1"),
        ("batch_size = [64, 0]", "batch_size must be at least 1, found 0"),
        ("batch_size = {low = 1.5, high = 9.5}", "batch_size must be of type int, found a float"),
        ("flip = {low = 0, high = 1}", "flip must be a list of values, because it is not a number"),
        ('flip = ["yes", "no"]', "flip must be of the field's type, found 'yes'"),
        ('architecture = ["cnn", "vgg"]', "architecture must be one of cnn, .*, found vgg"),
        ("architecture = [1, 2]", "architecture must be of the field's type, found 1"),
        ("lr = [[1], 2]", "lr"),
    ],
)
def test_a_wrong_name_or_range_is_refused_with_what_was_expected(text: str, said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        space(text)


def test_default_space_is_valid_and_holds_every_preset() -> None:
    shipped = tomllib.loads(Path("src/fmnist/apps/tuning_space.toml").read_text())
    assert set(shipped) == set(SEARCHED)
    for recipe in PRESETS.values():
        held = SearchSpace.from_mapping(shipped).holding(recipe)
        for name, value in held.values_of(recipe).items():
            one = held.dimensions[name]
            if isinstance(one, Range):
                assert isinstance(value, int | float)
                assert one.low <= value <= one.high
            else:
                assert value in one.values


def test_a_range_that_must_hold_zero_is_no_longer_logarithmic() -> None:
    held = space("weight_decay = {low = 1e-5, high = 1e-2, log = true}").holding(Recipe(weight_decay=0.0))
    assert held.dimensions == {"weight_decay": Range(0.0, 0.01, log=False)}


@given(st.floats(0.0123456, 0.98765))
def test_numbers_of_a_recipe_have_three_digits_and_stay_in_the_range(value: float) -> None:
    found = SearchSpace({"lr": Range(0.0123456, 0.98765)}).recipe(Recipe(), {"lr": value}).lr
    assert 0.0123456 <= found <= 0.98765
    assert found == pytest.approx(value, rel=0.006)
    assert found in {0.0123456, 0.98765} or len(f"{found:.12g}".strip("0.").replace(".", "")) <= 3


def test_a_recipe_of_the_space_keeps_the_other_fields() -> None:
    start = PRESETS["fast"]
    values: dict[str, Any] = {"lr": 0.3, "flip": False}
    found = space("lr = [0.2, 0.3]\nflip = [true, false]").recipe(start, values)
    assert found == start.override(**values)


def test_dimensions_are_shown_as_words() -> None:
    found = space("lr = {low = 1e-2, high = 1, log = true}\nshift = {low = 0, high = 2}\nflip = [true, false]")
    assert [*map(str, found.dimensions.values())] == ["0.01 to 1, in orders of magnitude", "0 to 2", "True, False"]


def test_equal_spaces_have_equal_texts() -> None:
    one, other = "lr = [0.1, 0.2]\nshift = [0, 1]", "shift = [0, 1]\nlr = [0.1, 0.2]"
    assert str(space(one)) == str(space(other))
    assert str(space(one)) != str(space("lr = [0.1, 0.3]\nshift = [0, 1]"))
