from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fmnist.adapters.lightning.batches import Batch, ShuffledBatches, TensorSplit
from fmnist.adapters.lightning.compute import LocalCompute
from fmnist.adapters.lightning.module import ImageClassification
from fmnist.adapters.lightning.optimization import build_optimizer, build_schedule
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import InvalidSetting, OutOfMemory, StoreUnavailable, TrainingFailed
from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.model.training.recipe import ARCHITECTURES, Architecture, Recipe
from fmnist.domain.model.training.run import TrainingSpec, best_epoch
from fmnist.ports.compute import FitResult
from fmnist.testing.contracts.compute import SPEC, ComputeContract, FinishedFit
from fmnist.testing.data import toy_images, toy_splits


class TestLocalCompute(ComputeContract):
    @pytest.fixture(scope="class")
    @classmethod
    def registry(cls) -> MemoryDataRegistry:
        return MemoryDataRegistry()

    @pytest.fixture(scope="class")
    @classmethod
    def dataset(cls, registry: MemoryDataRegistry) -> DatasetVersion:
        return registry.add("1.0.0", toy_splits(train=320, val=100, test=100), files=3)

    @pytest.fixture(scope="class")
    @classmethod
    def compute(cls, registry: MemoryDataRegistry, tmp_path_factory: pytest.TempPathFactory) -> LocalCompute:
        return LocalCompute(registry.read, tmp_path_factory.mktemp("checkpoints"), threads=2)

    def test_more_workers_than_images_are_refused(self, compute: LocalCompute, dataset: DatasetVersion) -> None:
        with pytest.raises(InvalidSetting, match="in-process compute has one worker, found num_workers 2"):
            compute.prepare(TrainingSpec(recipe=SPEC.recipe, num_workers=2), dataset)

    @pytest.mark.parametrize("architecture", ["cnn", "resnet18"])
    def test_equal_seeds_give_equal_weights_and_others_do_not(
        self, compute: LocalCompute, dataset: DatasetVersion, architecture: str
    ) -> None:
        recipe = SPEC.recipe.override(architecture=architecture, max_epochs=1)

        def weights(seed: int) -> dict[str, torch.Tensor]:
            spec = TrainingSpec(recipe=recipe, seed=seed, limit_train=96, limit_val=10)
            path = compute.fit(spec, dataset, uuid4().hex, lambda _: None).weights.path
            state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
            return state

        first, again, other = weights(0), weights(0), weights(1)
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert not all(torch.equal(first[name], other[name]) for name in first)

    def test_weights_do_not_depend_on_the_number_of_files(
        self, compute: LocalCompute, registry: MemoryDataRegistry, finished: FinishedFit
    ) -> None:
        one = registry.add("2.0.0", toy_splits(train=320, val=100, test=100))
        again = compute.fit(self.spec, one, uuid4().hex, lambda _: None)
        assert list(again.history) == list(finished.result.history)

    def test_each_epoch_has_its_own_augmentation_and_order(self) -> None:
        splits = toy_splits(train=64, val=10, test=10)
        spec = TrainingSpec(recipe=SPEC.recipe.override(batch_size=64, shift=0, erase=0))
        module = ImageClassification(spec, Normalization(mean=0.3, std=0.3), splits["train"], splits["val"])
        shown = []
        for epoch in (0, 1):
            module.trainer = SimpleNamespace(current_epoch=epoch, global_rank=0)  # type: ignore[assignment]
            ((images, _),) = module.train_dataloader()
            shown.append({int(image.sum()): image for image in images})
        first, second = shown
        # Every image has another sum, which identifies it even when it is mirrored.
        assert len(first) == 64
        assert list(first) != list(second)
        assert all(torch.equal(first[key], second[key].flip(1)) for key in first)

    def test_coarse_epochs_train_on_images_of_half_the_side(self) -> None:
        splits = toy_splits(train=64, val=10, test=10)
        spec = TrainingSpec(recipe=PRESETS["sprint"])
        module = ImageClassification(spec, Normalization(mean=0.3, std=0.3), splits["train"], splits["val"])
        shapes: list[torch.Size] = []
        module.network.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape))
        module.on_train_epoch_start()
        for epoch in (0, 1):
            module.trainer = SimpleNamespace(current_epoch=epoch, global_rank=0)  # type: ignore[assignment]
            (batch,) = module.train_dataloader()
            module.training_step(batch, 0)
        assert shapes == [(64, 1, 14, 14), (64, 1, 28, 28)]

    def test_a_checkpoint_has_each_weight_once(self) -> None:
        splits = toy_splits(train=64, val=10, test=10)
        spec = TrainingSpec(recipe=SPEC.recipe)
        module = ImageClassification(spec, Normalization(mean=0.3, std=0.3), splits["train"], splits["val"])
        assert set(module.state_dict()) == {f"network.{name}" for name in module.network.state_dict()}

    def test_too_few_images_are_refused_also_if_the_metadata_gives_no_sizes(self, tmp_path: Path) -> None:
        registry = MemoryDataRegistry()
        one = registry.add("1.0.0", toy_splits(train=1, val=10, test=10))
        unknown = replace(one, metadata={name: part for name, part in one.metadata.items() if name != "splits"})
        spec = TrainingSpec(recipe=SPEC.recipe.override(architecture="resnet18"))
        with pytest.raises(InvalidSetting, match="resnet18 needs at least 2 images per worker and step, found 1"):
            LocalCompute(registry.read, tmp_path, threads=1).fit(spec, unknown, "run", lambda _: None)

    @pytest.mark.parametrize("preset", ["speedrun", "small-1m", "best"])
    def test_presets_for_a_gpu_also_train_on_a_cpu(
        self, compute: LocalCompute, dataset: DatasetVersion, preset: str
    ) -> None:
        recipe = PRESETS[preset].override(max_epochs=1)
        spec = TrainingSpec(recipe=recipe, limit_train=16, limit_val=10)
        result = compute.fit(spec, dataset, uuid4().hex, lambda _: None)
        (metrics,) = result.history
        assert np.isfinite(metrics["train_loss"])
        assert result.weights.architecture == recipe.architecture

    def test_random_state_of_the_caller_is_not_changed(self, compute: LocalCompute, dataset: DatasetVersion) -> None:
        torch.manual_seed(17)
        expected = torch.rand(3)
        torch.manual_seed(17)
        compute.fit(TrainingSpec(recipe=SPEC.recipe, limit_train=32), dataset, uuid4().hex, lambda _: None)
        assert torch.equal(torch.rand(3), expected)

    def test_diverging_run_ends_with_step_and_likely_cause(
        self, compute: LocalCompute, dataset: DatasetVersion
    ) -> None:
        spec = TrainingSpec(recipe=SPEC.recipe.override(lr=1e30))
        with pytest.raises(TrainingFailed, match=r"not finite at epoch 0, step \d+: a learning rate of 1e\+30"):
            compute.fit(spec, dataset, uuid4().hex, lambda _: None)

    def test_precision_and_compilation_for_gpus_change_nothing_on_a_cpu(
        self, compute: LocalCompute, dataset: DatasetVersion, finished: FinishedFit
    ) -> None:
        spec = replace(SPEC, recipe=SPEC.recipe.override(precision="bfloat16", compile=True))
        result = compute.fit(spec, dataset, uuid4().hex, lambda _: None)
        assert list(result.history) == list(finished.result.history)

    @pytest.mark.parametrize(
        ("batch_size", "less"), [(32, "try --batch-size 16"), (3, "try --batch-size 1,"), (1, "try a smaller --model")]
    )
    def test_out_of_memory_ends_the_run_and_says_what_to_try(
        self,
        compute: LocalCompute,
        dataset: DatasetVersion,
        monkeypatch: pytest.MonkeyPatch,
        batch_size: int,
        less: str,
    ) -> None:
        steps: list[int] = []

        def step(self: ImageClassification, batch: Batch, index: int) -> torch.Tensor:
            steps.append(index)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

        monkeypatch.setattr(ImageClassification, "training_step", step)
        spec = TrainingSpec(recipe=SPEC.recipe.override(batch_size=batch_size))
        expected = f"does not hold cnn with batches of {batch_size}: {less}"
        with pytest.raises(OutOfMemory, match=expected) as caught:
            compute.fit(spec, dataset, uuid4().hex, lambda _: None)
        assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)
        assert steps == [0], "it is not retried"

    def test_chosen_weights_are_those_of_the_best_epoch(self, compute: LocalCompute, dataset: DatasetVersion) -> None:
        # All of these few images are classified correctly after the first epoch, and the earliest epoch wins a tie.
        recipe = Recipe(architecture="cnn", optimizer="sgd", lr=0.02, batch_size=4)

        def fit(epochs: int) -> FitResult:
            spec = TrainingSpec(recipe=recipe.override(max_epochs=epochs), limit_val=5)
            return compute.fit(spec, dataset, uuid4().hex, lambda _: None)

        several, one = fit(3), fit(1)
        assert best_epoch(several.history) == 0
        first, chosen = (torch.load(result.weights.path, weights_only=True) for result in (one, several))
        assert all(torch.equal(first[name], chosen[name]) for name in first)

    def test_predictions_agree_with_the_module_that_was_trained(
        self, compute: LocalCompute, dataset: DatasetVersion, finished: FinishedFit
    ) -> None:
        result = finished.result
        predictions = compute.predict(result.weights, dataset, "val")
        chosen = predictions.probabilities[np.arange(len(predictions.labels)), predictions.labels]
        best = max(result.history, key=lambda metrics: metrics["val_acc"])
        chosen = chosen[: SPEC.limit_val]
        assert -np.log(chosen).mean() == pytest.approx(best["val_loss"], rel=1e-3)


@pytest.mark.parametrize("place", ["file/checkpoints", "/proc"])
def test_unwritable_checkpoint_directory_is_named_before_training(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    registry = MemoryDataRegistry()
    dataset = registry.add("1.0.0", toy_splits())
    compute = LocalCompute(registry.read, tmp_path / place, threads=1)
    with pytest.raises(StoreUnavailable, match=f"cannot keep checkpoints in {tmp_path / place}: "):
        compute.prepare(SPEC, dataset)


@given(st.sampled_from(ARCHITECTURES), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.data())
def test_accepted_spec_makes_only_batches_that_a_network_can_learn_from(
    architecture: Architecture, images: int, workers: int, batch_size: int, data: st.DataObject
) -> None:
    limit = data.draw(st.none() | st.integers(1, 9))
    spec = TrainingSpec(
        recipe=Recipe(architecture=architecture, batch_size=batch_size), num_workers=workers, limit_train=limit
    )
    try:
        spec.check_splits({"train": images, "val": workers})
        taken = True
    except InvalidSetting:
        taken = False
    part = min(images, limit or images) // workers
    batches = set(batch_sizes(part, batch_size)) if part else set()
    assert taken == (part > 0 and all(learns_from(architecture, size) for size in batches))


def batch_sizes(images: int, batch_size: int) -> list[int]:
    """Return the number of images of each batch of an epoch."""
    split = TensorSplit.of(toy_images(images), torch.device("cpu"))
    return [len(labels) for _, labels in ShuffledBatches(split, batch_size, 0, lambda images: images)]


@cache
def learns_from(architecture: Architecture, images: int) -> bool:
    """Return whether a training step of the network works with this number of images."""
    with torch.device("meta"):
        network = build_network(architecture).train()
        try:
            network(torch.zeros(images, 1, 28, 28))
        except ValueError:
            return False
    return True


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(["constant", "one_cycle"]))
def test_learning_rate_is_scheduled_for_any_number_of_steps(epochs: int, steps: int, schedule: str) -> None:
    recipe = Recipe(schedule=schedule, max_epochs=epochs, lr=0.1)  # type: ignore[arg-type]
    optimizer = build_optimizer(recipe, torch.nn.Linear(1, 1))
    planned = build_schedule(recipe, optimizer, steps)
    rates = []
    for _ in range(epochs * steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        planned.step()
    assert all(0 <= rate <= 0.1 + 1e-9 for rate in rates)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_training_continues_from_checkpoints_of_optimizers_that_were_not_fused(optimizer: str) -> None:
    recipe = Recipe(optimizer=optimizer, lr=0.1)  # type: ignore[arg-type]

    def stepped(state: dict[str, Any] | None = None) -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        layer = torch.nn.Linear(1, 1)
        torch.nn.init.ones_(layer.weight)
        planned = build_optimizer(recipe, layer)
        if state:
            planned.load_state_dict(deepcopy(state))  # it would share the tensors
        layer.weight.grad = torch.ones_like(layer.weight)
        planned.step()
        return layer, planned

    state = stepped()[1].state_dict()
    assert state["param_groups"][0]["fused"]
    (expected, _), before = stepped(state), {"fused": None, "foreach": None}
    older, _ = stepped({**state, "param_groups": [{**state["param_groups"][0], **before}]})
    torch.testing.assert_close(older.weight, expected.weight)
    assert older.weight < 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_trains_compiled_in_bfloat16_to_weights_that_a_cpu_reads(tmp_path: Path) -> None:
    registry = MemoryDataRegistry()
    dataset = registry.add("1.0.0", toy_splits(train=320, val=100, test=100))
    compute = LocalCompute(registry.read, tmp_path, threads=2)
    spec = replace(SPEC, recipe=SPEC.recipe.override(precision="bfloat16", compile=True))
    result = compute.fit(spec, dataset, uuid4().hex, lambda _: None)
    assert result.device == torch.cuda.get_device_name()
    assert result.history[-1]["val_acc"] > 0.9
    predictions = compute.predict(result.weights, dataset, "test")
    assert (predictions.probabilities.argmax(axis=1) == predictions.labels).mean() > 0.9
