"""A spec survives its trip through a run's parameters, and refuses what cannot be trained."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.metrics import Evaluation
from fmnist.domain.model.presets import PRESETS
from fmnist.domain.model.training import (
    ARCHITECTURES,
    EPOCH_METRICS,
    Lineage,
    Recipe,
    TrainingSpec,
    best_epoch,
)

positive = st.floats(min_value=0, max_value=1e38, exclude_min=True)
recipes = st.builds(
    Recipe,
    architecture=st.sampled_from(ARCHITECTURES),
    optimizer=st.sampled_from(["adamw", "sgd"]),
    schedule=st.sampled_from(["constant", "one_cycle"]),
    batch_size=st.integers(1, 10**6),
    lr=positive | st.integers(1, 10),
    max_epochs=st.integers(1, 10**4),
    weight_decay=positive | st.just(0),
    label_smoothing=st.floats(0, 1, exclude_max=True),
    flip=st.booleans(),
)
specs = st.builds(
    TrainingSpec,
    recipe=recipes,
    seed=st.integers(0, 2**32 - 1),
    num_workers=st.integers(1, 64),
    gpu_per_worker=st.just(0) | positive,
    limit_train=st.none() | st.integers(1, 10**6),
    limit_val=st.none() | st.integers(1, 10**6),
)


@given(specs)
def test_params_and_back_gives_the_same_spec(spec: TrainingSpec) -> None:
    params = spec.params()
    assert all(isinstance(text, str) for text in params.values())
    assert TrainingSpec.from_params({**params, "dvc_repo_url": "x", "recipe": "another tool's"}) == spec


@given(recipes)
def test_a_recipe_s_own_mapping_gives_it_back(recipe: Recipe) -> None:
    assert Recipe.from_mapping(dataclasses.asdict(recipe)) == recipe


def test_params_name_every_value_of_recipe_and_spec() -> None:
    params = TrainingSpec(recipe=PRESETS["fast"], num_workers=2, limit_val=5).params()
    assert params == {
        "architecture": "cnn",
        "optimizer": "sgd",
        "schedule": "one_cycle",
        "batch_size": "128",
        "lr": "0.2",
        "max_epochs": "6",
        "weight_decay": "0.0005",
        "label_smoothing": "0.1",
        "flip": "True",
        "seed": "0",
        "num_workers": "2",
        "gpu_per_worker": "0.0",
        "limit_val": "5",
    }


@pytest.mark.parametrize("name", ["architecture", "lr", "flip", "seed", "num_workers"])
def test_a_run_without_a_parameter_is_not_resumed_with_its_default(name: str) -> None:
    params = TrainingSpec(recipe=PRESETS["fast"]).params()
    del params[name]
    with pytest.raises(InvalidSetting, match=f"^{name} must be among the run's parameters"):
        TrainingSpec.from_params(params)


@pytest.mark.parametrize(
    ("name", "text"),
    [("lr", "fast"), ("flip", "yes"), ("max_epochs", "2.5"), ("seed", ""), ("limit_train", "None"), ("lr", "nan")],
)
def test_a_parameter_that_does_not_parse_is_named(name: str, text: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} must be"):
        TrainingSpec.from_params(TrainingSpec(recipe=Recipe()).params() | {name: text})


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
    ],
)
def test_a_recipe_refuses_and_names_what_cannot_be(name: str, value: object) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} must be") as caught:
        Recipe.from_mapping({name: value})
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", 2**32),
        ("seed", None),
        ("seed", 1.0),
        ("num_workers", 0),
        ("num_workers", 1001),
        ("num_workers", "2"),
        ("gpu_per_worker", -0.5),
        ("gpu_per_worker", float("nan")),
        ("gpu_per_worker", float("inf")),
        ("limit_train", 0),
        ("limit_train", -5),
        ("limit_val", 0),
        ("limit_val", True),
    ],
)
def test_a_spec_refuses_and_names_what_cannot_be(name: str, value: Any) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} must be"):
        TrainingSpec(recipe=Recipe(), **{name: value})


def test_a_preset_file_overrides_the_contract_s_defaults_alone() -> None:
    assert Recipe.from_mapping({}) == Recipe() == PRESETS["resnet18"]
    assert Recipe.from_mapping({"lr": 1, "flip": True}) == dataclasses.replace(Recipe(), lr=1.0, flip=True)


@pytest.mark.parametrize("unknown", [{"learning_rate": 0.1}, {"epochs": 2, "lr": 0.1}, {3: 4, "lr": 0.1}])
def test_a_preset_file_with_an_unknown_name_is_refused_with_the_known_ones(unknown: dict[Any, Any]) -> None:
    with pytest.raises(InvalidSetting, match=r"a recipe has no (learning_rate|epochs|3): it has .*max_epochs"):
        Recipe.from_mapping(unknown)


def test_the_defaults_are_the_platform_contract_s() -> None:
    recipe = PRESETS["resnet18"]
    assert (recipe.architecture, recipe.optimizer, recipe.batch_size) == ("resnet18", "adamw", 128)
    assert (recipe.lr, recipe.max_epochs, recipe.schedule, recipe.flip) == (0.001, 2, "constant", False)


def test_override_takes_what_is_given_and_checks_it() -> None:
    recipe = PRESETS["fast"].override(lr=0.5, max_epochs=None, flip=False)
    assert recipe == dataclasses.replace(PRESETS["fast"], lr=0.5, flip=False)
    with pytest.raises(InvalidSetting, match=r"^batch_size must be at least 1, found 0$"):
        recipe.override(batch_size=0)


def test_the_global_batch_is_that_of_all_workers() -> None:
    assert TrainingSpec(recipe=Recipe(batch_size=64), num_workers=3).global_batch_size == 192


@given(st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=1, max_size=8))
def test_the_best_epoch_is_the_earliest_of_the_highest(accuracies: list[float]) -> None:
    history = [{"val_acc": accuracy, "val_loss": -accuracy} for accuracy in accuracies]
    assert best_epoch(history) == accuracies.index(max(accuracies))


def test_epoch_metrics_are_those_of_an_evaluation() -> None:
    evaluation = Evaluation(loss=0, accuracy=1, precision=1, recall=1, f1=1, ece=0, confusion=None)  # type: ignore[arg-type]
    assert (*evaluation.metrics("train"), *evaluation.metrics("val")) == EPOCH_METRICS


def test_lineage_tags_are_the_contract_s_three_and_ours() -> None:
    names = [field.name for field in dataclasses.fields(Lineage)]
    assert {"argo_workflow_uid", "docker_image_tag", "dvc_data_version"} < set(names)
    assert Lineage(**{name: name.upper() for name in names}).tags() == {name: name.upper() for name in names}


def test_lineage_reads_back_from_the_tags_of_a_run() -> None:
    lineage = Lineage(
        argo_workflow_uid="wf",
        docker_image_tag="image",
        dvc_data_version="fashion-mnist-v1.0.0",
        git_commit="abc",
        dvc_data_sha="def",
        data_digest="123",
    )
    assert Lineage.from_tags({**lineage.tags(), "best_epoch": "3"}) == lineage
    with pytest.raises(InvalidSetting, match="no tag git_commit, data_digest"):
        Lineage.from_tags({k: v for k, v in lineage.tags().items() if k not in {"git_commit", "data_digest"}})
