import torch
from torch import nn

from fmnist.adapters.torch.averaging import AveragedNetwork


def test_the_average_follows_weights_and_statistics_and_is_never_trained() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    averaged = AveragedNetwork(network, decay=0.75)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        network[0].weight.add_(4)
    network(torch.randn(8, 2))
    averaged.follow(network)

    for name, value in averaged.network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * before[name] + 0.25 * network.state_dict()[name])
    assert not any(parameter.requires_grad for parameter in averaged.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
