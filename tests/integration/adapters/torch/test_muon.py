import pytest
import torch
from torch import nn

from fmnist.adapters.torch.muon import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(16, 144), (144, 16), (32, 32)])
def test_orthogonalized_matrix_keeps_directions_and_levels_their_sizes(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, sizes, right = torch.linalg.svd(matrix, full_matrices=False)
    # A square random matrix has directions that are all but absent, which five iterations do not raise.
    present = sizes > 0.05 * sizes.max()
    leveled = torch.diag(left.T @ orthogonalized(matrix) @ right.T)[present]
    assert 0.6 < float(leveled.min()) <= float(leveled.max()) < 1.3


def test_convolutions_keep_their_length_and_the_rest_steps_as_sgd_does() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 10))
    rest = [each.detach().clone().requires_grad_() for each in network.parameters() if each.ndim < 4]
    optimizer = Muon(network.parameters(), lr=0.01, weight_decay=0.1)
    matrices, vectors = [each for each in rest if each.ndim == 2], [each for each in rest if each.ndim == 1]
    sgd = torch.optim.SGD(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors}], lr=0.01, momentum=0.9, nesterov=True
    )
    for _ in range(3):
        optimizer.zero_grad()
        network(torch.randn(4, 1, 3, 3)).square().sum().backward()
        for own, each in zip(rest, (each for each in network.parameters() if each.ndim < 4), strict=True):
            own.grad = each.grad.clone()
        optimizer.step()
        sgd.step()
        for own, each in zip(rest, (each for each in network.parameters() if each.ndim < 4), strict=True):
            torch.testing.assert_close(each.detach(), own.detach())
    length = float(network[0].weight.detach().norm())
    assert length == pytest.approx(8**0.5, rel=0.1)
