"""A network of any architecture reads back unchanged from its archive."""

import io
from pathlib import Path

import pytest
import torch

from fmnist.adapters.torch.graph import read_network
from fmnist.adapters.torch.networks import build_network
from fmnist.adapters.torch.weights import load_network
from fmnist.domain.model.training.recipe import ARCHITECTURES, Architecture
from fmnist.ports.model_store import TrainedWeights


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_graph_of_each_architecture_predicts_like_the_network_for_any_batch(
    architecture: Architecture, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    source = build_network(architecture)
    source(torch.randn(8, 1, 28, 28))  # statistics of batch norms
    torch.save(source.to(memory_format=torch.channels_last).state_dict(), weights := io.BytesIO())
    weights.seek(0)
    network = load_network(TrainedWeights(architecture, "", temperature=1.37), weights)
    exported = torch.export.export(
        network, (torch.zeros(2, 1, 28, 28),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    torch.export.save(exported, tmp_path / "model.pt2")
    found = read_network((tmp_path / "model.pt2").read_bytes())
    assert not any(module.training for module in found.modules())
    for count in (1, 3):
        inputs = torch.randn(count, 1, 28, 28)
        before = inputs.clone()
        with torch.inference_mode():
            torch.testing.assert_close(found(inputs), network(inputs))
        assert torch.equal(inputs, before)
