import pytest
import torch

from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.recipe import ARCHITECTURES, Architecture


@pytest.mark.parametrize(("architecture", "most"), [("cnn", 60_000), ("cnn-wide", 300_000)])
def test_small_networks_stay_small(architecture: Architecture, most: int) -> None:
    assert sum(parameter.numel() for parameter in build_network(architecture).parameters()) <= most


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_depend_on_the_seed_alone(architecture: Architecture) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        state: dict[str, torch.Tensor] = build_network(architecture).state_dict()
        return state

    first, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
