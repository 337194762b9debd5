"""A recipe reads its file exactly, and refuses values that cannot be trained."""

import dataclasses
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.model.training.recipe import Recipe
from tests.unit.domain.model.recipes import recipes


@given(recipes)
def test_a_recipe_s_own_mapping_gives_it_back(recipe: Recipe) -> None:
    assert Recipe.from_mapping(dataclasses.asdict(recipe)) == recipe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("architecture", "resnet50"),
        ("architecture", None),
        ("architecture", ["cnn"]),
        ("optimizer", "adam"),
        ("schedule", "cosine"),
        ("batch_size", 0),
        ("batch_size", 2**31),
        pytest.param("batch_size", 10**5000, id="batch_size-5000 digits"),
        ("batch_size", -1),
        ("batch_size", 128.0),
        ("batch_size", "128"),
        ("batch_size", True),
        ("batch_size", None),
        ("max_epochs", 0),
        ("lr", 0),
        ("lr", 1e39),
        ("lr", -0.1),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("lr", "0.1"),
        ("lr", False),
        ("lr", None),
        pytest.param("lr", 10**5000, id="lr-5000 digits"),
        ("weight_decay", -1e-9),
        ("weight_decay", float("inf")),
        ("label_smoothing", 1.0),
        ("label_smoothing", -0.1),
        ("label_smoothing", float("nan")),
        ("flip", 1),
        ("flip", "True"),
        ("shift", -1),
        ("shift", 28),
        ("erase", 28),
        ("fade", 127),
        ("fade", -1),
        ("erase", 2.0),
        ("coarse_epochs", -1),
        ("coarse_epochs", 2),
        ("coarse_epochs", True),
        ("precision", "float16"),
        ("compile", "yes"),
    ],
)
def test_a_recipe_refuses_and_names_an_impossible_value(name: str, value: object) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} must be") as caught:
        Recipe.from_mapping({name: value})
    assert len(str(caught.value)) < 120


def test_coarse_epochs_of_a_short_training_are_explained() -> None:
    with pytest.raises(InvalidSetting, match=r"^coarse_epochs must be below max_epochs \(1\), found 1$"):
        PRESETS["sprint"].override(max_epochs=1)


def test_a_preset_file_changes_only_the_values_that_it_names() -> None:
    assert Recipe.from_mapping({}) == Recipe() == PRESETS["resnet18"]
    assert Recipe.from_mapping({"lr": 1, "flip": True}) == dataclasses.replace(Recipe(), lr=1.0, flip=True)


@pytest.mark.parametrize("unknown", [{"learning_rate": 0.1}, {"epochs": 2, "lr": 0.1}, {3: 4, "lr": 0.1}])
def test_error_for_an_unknown_name_in_a_preset_lists_the_known_ones(unknown: dict[Any, Any]) -> None:
    with pytest.raises(
        InvalidSetting, match=r"a recipe has no field (learning_rate|epochs|3): its fields are .*max_epochs"
    ):
        Recipe.from_mapping(unknown)


def test_the_defaults_are_the_platform_contract_s() -> None:
    recipe = PRESETS["resnet18"]
    assert (recipe.architecture, recipe.optimizer, recipe.batch_size) == ("resnet18", "adamw", 128)
    assert (recipe.lr, recipe.max_epochs, recipe.schedule, recipe.flip) == (0.001, 2, "constant", False)


def test_override_uses_and_checks_the_given_values() -> None:
    recipe = PRESETS["fast"].override(lr=0.5, max_epochs=None, flip=False)
    assert recipe == dataclasses.replace(PRESETS["fast"], lr=0.5, flip=False)
    with pytest.raises(InvalidSetting, match=r"^batch_size must be at least 1, found 0$"):
        recipe.override(batch_size=0)


def test_recipe_without_fading_has_the_identity_of_earlier_releases() -> None:
    # Kept studies and folds of audits are found by it.
    names = [json.dumps([PRESETS["sprint"].identity()]), json.dumps([PRESETS["sprint"].override(fade=0).identity()])]
    assert {hashlib.sha256(name.encode()).hexdigest()[:16] for name in names} == {"6753d96502894d0f"}
    kept = repr(sorted(PRESETS["fast"].override(max_epochs=4, fade=0).identity().items()))
    assert hashlib.sha256(kept.encode()).hexdigest()[:16] == "cbe64ebf5ec5c5af"
    assert PRESETS["fast"].identity()["fade"] == 96
