import time
from pathlib import Path

import pytest
import torch

from fmnist.adapters.lightning.checkpoint import BEST, STATE, History, KeptCheckpoints
from fmnist.adapters.lightning.checkpointing import Checkpointing
from fmnist.domain.model.errors import StoreUnavailable, TrainingFailed
from tests.integration.adapters.mlflow.traps import saved_by_torch


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    directory = tmp_path / "epoch-00000"
    directory.mkdir()
    History(({"val_acc": 0.5},), 1.0, "cpu").write(directory)
    for name in (BEST, STATE):
        torch.save({"weight": torch.zeros(1)}, directory / name)
    return directory


def resume(checkpoint: Path) -> Checkpointing:
    return Checkpointing(checkpoint, lambda *_: (), time.perf_counter)


def test_training_continues_from_a_checkpoint(checkpoint: Path) -> None:
    assert len(resume(checkpoint).history.epochs) == 1


@pytest.mark.parametrize("name", [BEST, STATE])
def test_code_in_a_checkpoint_is_never_run_and_the_error_does_not_advise_it(
    checkpoint: Path, tmp_path: Path, name: str
) -> None:
    (checkpoint / name).write_bytes(saved_by_torch(tmp_path / "canary"))
    with pytest.raises(TrainingFailed, match=f"{name}.*holds more than tensors; remove it") as caught:
        resume(checkpoint)
    assert not (tmp_path / "canary").exists()
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("name", [BEST, STATE])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"hello world"])
def test_damaged_checkpoint_is_named(checkpoint: Path, name: str, content: bytes) -> None:
    (checkpoint / name).write_bytes(content)
    with pytest.raises(TrainingFailed, match=f"the checkpoint {checkpoint} is damaged: {name}"):
        resume(checkpoint)


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000])
def test_damaged_history_is_named(checkpoint: Path, content: str) -> None:
    (checkpoint / "epochs.json").write_text(content)
    with pytest.raises(TrainingFailed, match=f"the checkpoint {checkpoint} is damaged: .*; remove it"):
        resume(checkpoint)


def test_checkpoint_that_cannot_be_copied_leaves_the_one_before_it(checkpoint: Path, tmp_path: Path) -> None:
    kept = KeptCheckpoints(tmp_path)
    with pytest.raises(StoreUnavailable, match=f"cannot keep a checkpoint in {tmp_path}: .*missing"):
        kept.add(tmp_path / "missing", 1)
    assert kept.newest() == checkpoint
    assert (checkpoint / STATE).exists()
