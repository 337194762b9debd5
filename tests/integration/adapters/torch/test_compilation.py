from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from fmnist.adapters.torch.compilation import compiled, has_compiler
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.training.presets import PRESETS


@pytest.fixture
def graphs() -> Iterator[dict[str, int]]:
    """Torch's statistics of the graphs that it captures from now on."""
    torch.compiler.reset()
    counters.clear()
    yield counters["stats"]
    torch.compiler.reset()


@pytest.mark.parametrize("architecture", ["cnn-large", "wrn-16-2"])
def test_whole_network_is_one_graph_and_the_next_network_of_its_kind_reuses_it(
    graphs: dict[str, int], architecture: str
) -> None:
    assert architecture in {recipe.architecture for recipe in PRESETS.values() if recipe.compile}
    for _ in range(2):
        network = build_network(architecture)  # type: ignore[arg-type]
        # The graph is captured, and not compiled, which takes half a minute on a CPU.
        logits = compiled(network.train(), backend="aot_eager")
        logits(torch.randn(8, 1, 28, 28)).sum().backward()
        network.eval()
        with torch.inference_mode():
            logits(torch.randn(16, 1, 28, 28))
    assert graphs["unique_graphs"] == 2  # one to train, one to validate
    assert graphs["calls_captured"] > 2 * len([each for each in network.modules() if not [*each.children()]])


def test_c_compiler_is_that_of_cc_or_else_gcc_or_clang(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert not has_compiler()
    (tmp_path / "gcc").touch(mode=0o755)
    assert has_compiler()
    monkeypatch.setenv("CC", "my-cc")
    assert not has_compiler()
    (tmp_path / "my-cc").touch(mode=0o755)
    assert has_compiler()
