"""A spec reads back unchanged from a run's parameters, and refuses values that cannot be trained."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.evaluation.metrics import Evaluation
from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.training.run import EPOCH_METRICS, Lineage, TrainingSpec, best_epoch
from tests.unit.domain.model.recipes import recipes

specs = st.builds(
    TrainingSpec,
    recipe=recipes,
    seed=st.integers(0, 2**32 - 1),
    num_workers=st.integers(1, 64),
    gpu_per_worker=st.integers(0, 16) | st.floats(0.0001, 1),
    limit_train=st.none() | st.integers(1, 10**6),
    limit_val=st.none() | st.integers(1, 10**6),
)


@given(specs)
def test_a_spec_reads_back_from_its_params(spec: TrainingSpec) -> None:
    params = spec.params()
    assert all(isinstance(text, str) for text in params.values())
    assert TrainingSpec.from_params({**params, "dvc_repo_url": "x", "recipe": "another tool's"}) == spec


def test_params_name_every_value_of_recipe_and_spec() -> None:
    params = TrainingSpec(recipe=PRESETS["fast"], num_workers=2, limit_val=5).params()
    assert params == {
        "architecture": "cnn",
        "optimizer": "sgd",
        "schedule": "one_cycle",
        "batch_size": "128",
        "lr": "0.2",
        "max_epochs": "8",
        "weight_decay": "0.0005",
        "label_smoothing": "0.1",
        "flip": "True",
        "shift": "0",
        "erase": "0",
        "fade": "96",
        "precision": "bfloat16",
        "compile": "False",
        "seed": "0",
        "num_workers": "2",
        "gpu_per_worker": "0.0",
        "limit_val": "5",
    }


@pytest.mark.parametrize("name", ["architecture", "lr", "flip", "seed", "num_workers"])
def test_a_missing_parameter_is_refused_and_never_a_default(name: str) -> None:
    params = TrainingSpec(recipe=PRESETS["fast"]).params()
    del params[name]
    with pytest.raises(InvalidSetting, match=f"^{name} must be a parameter of the run"):
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
        ("gpu_per_worker", 1.5),
        ("gpu_per_worker", 1e-9),
        ("limit_train", 0),
        ("limit_train", -5),
        ("limit_val", 0),
        ("limit_val", True),
    ],
)
def test_a_spec_refuses_and_names_an_impossible_value(name: str, value: Any) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} must be"):
        TrainingSpec(recipe=Recipe(), **{name: value})


def test_the_global_batch_size_counts_all_workers() -> None:
    assert TrainingSpec(recipe=Recipe(batch_size=64), num_workers=3).global_batch_size == 192


@given(st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=1, max_size=8))
def test_the_best_epoch_is_the_earliest_of_the_highest(accuracies: list[float]) -> None:
    history = [{"val_acc": accuracy, "val_loss": -accuracy} for accuracy in accuracies]
    assert best_epoch(history) == accuracies.index(max(accuracies))


def test_epoch_metrics_have_the_names_of_an_evaluation() -> None:
    evaluation = Evaluation(loss=0, accuracy=1, precision=1, recall=1, f1=1, ece=0, confusion=None)  # type: ignore[arg-type]
    assert (*evaluation.metrics("train"), *evaluation.metrics("val")) == EPOCH_METRICS


def test_lineage_tags_are_the_contract_s_three_and_ours() -> None:
    names = [field.name for field in dataclasses.fields(Lineage)]
    assert {"argo_workflow_uid", "docker_image_tag", "dvc_data_version"} < set(names)
    assert Lineage(**{name: name.upper() for name in names}).tags() == {name: name.upper() for name in names}


def test_lineage_that_a_registry_cannot_store_is_refused_before_training() -> None:
    names = [field.name for field in dataclasses.fields(Lineage)]
    with pytest.raises(InvalidSetting, match="git_commit must be at most 8000 characters long, found 100001"):
        Lineage(**{**dict.fromkeys(names, "x"), "git_commit": "c" * 100_001})


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
    with pytest.raises(InvalidSetting, match="the tags lack git_commit, data_digest"):
        Lineage.from_tags({k: v for k, v in lineage.tags().items() if k not in {"git_commit", "data_digest"}})
