"""Compiles a network as one graph: for GPUs, because elsewhere it does not pay."""

import os
import shutil
from collections.abc import Callable

import torch
from torch import nn

Logits = Callable[[torch.Tensor], torch.Tensor]


def compiled(network: nn.Module, backend: str = "inductor") -> Logits:
    """Return a function that computes the network, compiled at its first call. Networks of one kind share the work.

    Not `network.compile()`: torch skips the `forward` of `nn.Sequential`, and would compile some of the blocks only.
    """

    def logits(inputs: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = network(inputs)
        return result

    return torch.compile(logits, backend=backend, fullgraph=True)


def has_compiler() -> bool:
    """Return whether Triton finds a C compiler, which it needs to build its launchers."""
    named = os.environ.get("CC")  # noqa: TID251 - Triton reads it
    return any(shutil.which(each) for each in ([named] if named else ["gcc", "clang"]))
