"""The workflows of `deploy/`, walked with steps that only say how they end: which run, after which, and with what."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.dag import Outcome, Step, Walk
from pipeline.expressions import Status
from pipeline.templates import Library

BASE = Path(__file__).parents[3] / "deploy/base"
TAGS = {"training_image_tag": "t1", "serving_image_tag": "s1"}
STAGED, RELEASED = "models:/staging.fashion-mnist-classifier/7", "models:/prod.fashion-mnist-classifier/3"
SAID = {
    "resolve-data": {"data_version": "fashion-mnist-v1.0.0", "data_commit": "c0", "data_digest": "d0"},
    "compare": {"promoted": "true", "message": "better"},
    "stage": {"staging_version": "7", "message": "staged"},
    "test": {"promoted": "true", "message": "passed"},
    "wait-for-approval": {"by": "A. Person", "reason": "looked at it"},
    "deliver/release": {"prod_version": "3", "message": "released"},
    "deliver/deploy": {"changed": "true", "model_uri": RELEASED, "revision": "r3", "message": "written"},
    "deploy": {"changed": "true", "model_uri": RELEASED, "revision": "r3", "message": "written"},
}
TO_THE_TEST = ["resolve-data", "train", "compare", "stage", "test"]
DELIVERY = ["deliver/release", "deliver/deploy", "deliver/smoke-test"]


@pytest.fixture(scope="module")
def library() -> Library:
    return Library.render(BASE)


@dataclass
class Steps:
    says: dict[str, dict[str, str]] = field(default_factory=dict)
    fails: tuple[str, ...] = ()
    bodies: dict[str, Any] = field(default_factory=dict)

    def __call__(self, step: Step) -> Outcome:
        ((_, self.bodies[step.name]),) = step.body.items()
        if step.name in self.fails:
            return Outcome(Status.FAILED, code=2)
        return Outcome(Status.SUCCEEDED, {**SAID.get(step.name, {}), **self.says.get(step.name, {})})

    def walk(self, library: Library, name: str = "fmnist-pipeline", **given: str) -> tuple[Status, list[str]]:
        library.check(name)
        status = Walk(library, self, lambda *_: None).workflow(name, "u-1", {**TAGS, **given}).status
        return status, list(self.bodies)

    def command(self, step: str) -> str:
        return " ".join([*self.bodies[step]["command"], *self.bodies[step]["args"]])


def test_model_that_is_better_goes_all_the_way(library: Library) -> None:
    steps = Steps()
    assert steps.walk(library) == (Status.SUCCEEDED, [*TO_THE_TEST, *DELIVERY])
    assert f"--model-uri {STAGED}" in steps.command("test")
    assert f"--model-uri {STAGED} --serving-image ghcr.io/fmnist/fmnist-serving:s1" in steps.command("deliver/release")
    assert f"--model {RELEASED}" in steps.command("deliver/smoke-test")


def test_training_is_of_the_data_that_was_resolved_on_what_the_compute_type_says(library: Library) -> None:
    steps = Steps()
    steps.walk(library, compute_type="gpu-medium", training_args="--max-epochs 9", dvc_data_version="1.0.0")
    assert "data resolve 1.0.0" in steps.command("resolve-data")
    manifest = steps.bodies["train"]["manifest"]
    assert '"fmnist train --num-workers 1 --gpu-per-worker 1 --max-epochs 9"' in manifest
    assert 'DVC_DATA_VERSION, value: "fashion-mnist-v1.0.0"' in manifest
    assert "64Gi" not in manifest
    assert "32Gi" in manifest


@pytest.mark.parametrize(("direction", "flag"), [("true", "--higher-is-better"), ("false", "--lower-is-better")])
def test_comparison_is_by_the_metric_that_was_asked_for(library: Library, direction: str, flag: str) -> None:
    steps = Steps()
    given = {"comparison_metric": "val_loss", "comparison_threshold": "0.01"}
    steps.walk(library, comparison_higher_is_better=direction, **given)
    assert f"--metric val_loss {flag} --threshold 0.01" in steps.command("compare")


def test_model_that_is_not_better_ends_the_workflow_in_order(library: Library) -> None:
    steps = Steps(says={"compare": {"promoted": "false"}})
    assert steps.walk(library) == (Status.SUCCEEDED, TO_THE_TEST[:3])


def test_model_that_does_not_pass_its_test_is_not_released(library: Library) -> None:
    for mode in ("automatic", "manual"):
        steps = Steps(says={"test": {"promoted": "false"}})
        assert steps.walk(library, approval_mode=mode) == (Status.SUCCEEDED, TO_THE_TEST)


def test_manual_approval_is_recorded_with_who_and_why_before_the_release(library: Library) -> None:
    steps = Steps()
    status, ran = steps.walk(library, approval_mode="manual")
    assert (status, ran) == (Status.SUCCEEDED, [*TO_THE_TEST, "wait-for-approval", "approve", *DELIVERY])
    assert f"--model-uri {STAGED} --by=A. Person --reason=looked at it" in steps.command("approve")
    assert "--approval manual" in steps.command("deliver/release")


@pytest.mark.parametrize("failing", [*TO_THE_TEST, "wait-for-approval", "approve", *DELIVERY])
def test_step_that_fails_ends_everything_after_it(library: Library, failing: str) -> None:
    steps = Steps(fails=(failing,))
    status, ran = steps.walk(library, approval_mode="manual")
    assert (status, ran[-1]) == (Status.FAILED, failing)


def test_rollback_is_deployed_and_tested(library: Library) -> None:
    steps = Steps()
    assert steps.walk(library, "fmnist-rollback", by="A. Person", reason="Shirts, mostly") == (
        Status.SUCCEEDED,
        ["rollback", "deploy", "smoke-test"],
    )
    assert "--by=A. Person --reason=Shirts, mostly" in steps.command("rollback")
    assert f"--model {RELEASED}" in steps.command("smoke-test")
