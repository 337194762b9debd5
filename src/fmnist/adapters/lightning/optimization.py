"""Optimizers and learning rate schedules, as recipes name them."""

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from fmnist.adapters.torch.muon import Muon
from fmnist.domain.model.recipe import Recipe

_RISE = 0.2  # share of the steps in which a cycle's learning rate rises
_FIRST, _LAST = 0.04, 0.001  # where it begins and ends, as shares of its peak


def build_optimizer(recipe: Recipe, network: nn.Module) -> Optimizer:
    """Return the recipe's optimizer over all of the network's parameters."""
    parameters = list(network.parameters())
    if recipe.optimizer == "adamw":
        return AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay)
    if recipe.optimizer == "muon":
        return Muon(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay)
    return SGD(parameters, lr=recipe.lr, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay)


def build_schedule(recipe: Recipe, optimizer: Optimizer, steps_per_epoch: int) -> LRScheduler:
    """Return the recipe's schedule, to be advanced after every step.

    One-cycle: Smith and Topin 2017, "Super-Convergence"; up over a fifth of the steps, down to almost 0, both linear.
    """
    if recipe.schedule == "constant":
        return LambdaLR(optimizer, lambda _: 1.0)
    steps = recipe.max_epochs * steps_per_epoch
    return LambdaLR(optimizer, lambda step: share_of_peak(step / steps))


def share_of_peak(done: float) -> float:
    """Return a one-cycle learning rate, as a share of its peak, where `done` in [0, 1] of the steps are behind."""
    if done < _RISE:
        return _FIRST + (1 - _FIRST) * done / _RISE
    return 1 - (1 - _LAST) * (done - _RISE) / (1 - _RISE)
