import pytest
import torch

from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.model.training.recipe import ARCHITECTURES, Architecture


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [
        ("cnn", 59_274),
        ("cnn-wide", 278_890),
        ("cnn-large", 1_110_730),
        ("resnet18", 11_175_370),
        ("resnet18-3x3", 11_172_810),
        ("wrn-16-2", 691_386),  # 0.7 million, as published
        ("wrn-40-4", 8_948_922),  # 8.9 million, as published
    ],
)
def test_networks_have_the_documented_size(architecture: Architecture, parameters: int) -> None:
    assert size_of(architecture) == parameters


@pytest.mark.parametrize(
    ("preset", "most"), [("fast", 60_000), ("sprint", 60_000), ("small", 300_000), ("small-1m", 1_000_000)]
)
def test_small_presets_keep_their_limit(preset: str, most: int) -> None:
    assert size_of(PRESETS[preset].architecture) <= most


def size_of(architecture: Architecture) -> int:
    return sum(parameter.numel() for parameter in build_network(architecture).parameters())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_depend_only_on_the_seed(architecture: Architecture) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        state: dict[str, torch.Tensor] = build_network(architecture).state_dict()
        return state

    first, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
