"""Muon, for the convolutions that torch's own, which takes matrices alone, refuses; SGD for whatever is no convolution.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

_MOMENTUM = 0.6  # of the convolutions; the rest has SGD's usual 0.9
_REST_MOMENTUM = 0.9
_ITERATIONS = 5
# A quintic whose repetition takes every singular value in (0, 1] near 1, and small ones fast.
_LINEAR, _CUBIC, _QUINTIC = 3.4445, -4.7750, 2.0315


class Muon(Optimizer):
    """Steps of equal size in every direction for convolutions, whose weights are kept at one length; SGD for the rest.

    Args:
        parameters: of a network; those of four dimensions are convolutions.
        weight_decay: L2, of matrices alone: a convolution's length is fixed, and biases and norms are few.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0) -> None:
        parameters = list(parameters)
        groups: list[dict[str, Any]] = [
            {"params": [each for each in parameters if each.ndim == 4], "momentum": _MOMENTUM},
            {"params": [each for each in parameters if each.ndim == 2], "weight_decay": weight_decay},
            {"params": [each for each in parameters if each.ndim == 1]},
        ]
        defaults = {"lr": lr, "momentum": _REST_MOMENTUM, "weight_decay": 0.0}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; a closure is called first, for the gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group["lr"], group["momentum"], group["weight_decay"])
        return loss

    def _update(
        self, parameter: nn.Parameter, gradient: torch.Tensor, lr: float, momentum: float, weight_decay: float
    ) -> None:
        gradient = gradient.add(parameter, alpha=weight_decay)
        velocity: torch.Tensor = self.state[parameter].setdefault("velocity", torch.zeros_like(parameter))
        velocity.mul_(momentum).add_(gradient)
        direction = gradient.add_(velocity, alpha=momentum)  # Nesterov's
        if parameter.ndim == 4:
            parameter.mul_(len(parameter) ** 0.5 / parameter.norm())
            direction = orthogonalized(direction.flatten(1)).view_as(parameter)
        parameter.sub_(direction, alpha=lr)


def orthogonalized(matrix: torch.Tensor) -> torch.Tensor:
    """Return a matrix of the same singular vectors whose singular values are all about 1 (0.7 to 1.2).

    By the Newton-Schulz iteration: matrix products alone, which every device is fast at.
    """
    wide = len(matrix) <= matrix.shape[1]
    current: torch.Tensor = (matrix if wide else matrix.T) / (matrix.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        square: torch.Tensor = current @ current.T
        current = _LINEAR * current + (_CUBIC * square + _QUINTIC * square @ square) @ current
    return current if wide else current.T
