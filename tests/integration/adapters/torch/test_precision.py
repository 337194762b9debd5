"""These tests emulate TF32 or read torch's settings, because the machines of the suite have no GPU."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from fmnist.adapters.torch.classifier import TorchClassifier
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.errors import CorruptModel
from fmnist.testing.data import toy_info

INFO = toy_info()
BACKENDS = {
    "generic": torch.backends,
    "cudnn": torch.backends.cudnn,
    "cudnn.conv": torch.backends.cudnn.conv,
    "cuda.matmul": torch.backends.cuda.matmul,
    "mkldnn.conv": torch.backends.mkldnn.conv,
    "mkldnn.matmul": torch.backends.mkldnn.matmul,
}


def precisions() -> dict[str, str]:
    return {name: backend.fp32_precision for name, backend in BACKENDS.items()}


@pytest.fixture(params=["by default", "by the old setting", "by the new setting", "by the old and coarse setting"])
def chosen(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Precision settings that a process may have chosen. torch can read back only what was set in the same way."""
    if request.param == "by the old setting":
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cuda.matmul.allow_tf32 = True
    elif request.param == "by the new setting":
        torch.backends.cudnn.conv.fp32_precision = "tf32"
        torch.backends.cuda.matmul.fp32_precision = "tf32"
    elif request.param == "by the old and coarse setting":
        torch.set_float32_matmul_precision("medium")
    yield precisions()
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.fp32_precision = "none"


class Settings(nn.Module):
    """Records torch's settings when it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, str]] = []
        self.meeting: threading.Barrier | None = None

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.meeting:
            self.meeting.wait(30)
        self.seen.append(precisions())
        return inputs.flatten(1)[:, : len(CLASS_NAMES)]


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 1, 28, 28)).astype(np.float32)


def test_classifier_predicts_in_full_float32_and_restores_the_settings(chosen: dict[str, str]) -> None:
    network = Settings()
    TorchClassifier(network, INFO).logits(images(2))
    assert network.seen == [dict.fromkeys(BACKENDS, "ieee")]
    assert precisions() == chosen


def test_default_still_follows_later_settings_of_the_process() -> None:
    """Restoring a default by its value would end its inheritance, because torch has no name for the default."""
    code = (
        "import torch; from fmnist.adapters.torch.precision import full_precision\n"
        "with full_precision(): pass\n"
        "print(torch.backends.cudnn.conv.fp32_precision, torch.backends.cudnn.allow_tf32)\n"
        "torch.backends.fp32_precision = 'ieee'\n"
        "print(torch.backends.cudnn.conv.fp32_precision)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["tf32", "True", "ieee"]


def test_settings_are_restored_when_the_network_fails(chosen: dict[str, str]) -> None:
    with pytest.raises(CorruptModel, match="fails on 2 images"):
        TorchClassifier(nn.Linear(3, 3), INFO).logits(images(2))
    assert precisions() == chosen


def test_thread_that_ends_does_not_change_the_precision_of_others(chosen: dict[str, str]) -> None:
    """Torch has one setting for all threads. Four of these run at any time, and each may end first."""
    network = Settings()
    network.meeting = threading.Barrier(4)
    classifier = TorchClassifier(network, INFO)
    threads = [threading.Thread(target=classifier.logits, args=(images(1),)) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert network.seen == [dict.fromkeys(BACKENDS, "ieee")] * 40
    assert precisions() == chosen


class Tf32(torch.overrides.TorchFunctionMode):
    """Rounds operands of convolutions to 10 bits of fraction if the settings allow TF32, as tensor cores do."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func is torch.conv2d and torch.backends.cudnn.conv.fp32_precision == "tf32":
            args = (_rounded(args[0]), _rounded(args[1]), *args[2:])
        return func(*args, **(kwargs or {}))


def _rounded(values: torch.Tensor) -> torch.Tensor:
    bits = values.contiguous().view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


def test_device_that_would_use_tf32_predicts_like_a_cpu() -> None:
    torch.manual_seed(0)
    network = build_network("cnn").eval()
    inputs = images(64)
    expected = TorchClassifier(network, INFO).logits(inputs)
    with Tf32():
        with torch.inference_mode():
            in_tf32 = network(torch.from_numpy(inputs)).numpy()
        found = TorchClassifier(network, INFO).logits(inputs)
    assert np.abs(in_tf32 - expected).max() > 1e-5, "the emulation must change the result"
    np.testing.assert_array_equal(found, expected)
