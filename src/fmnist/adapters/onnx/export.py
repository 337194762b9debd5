"""Exports a torch network to ONNX: float32 `images` (n, 1, 28, 28) to `logits` (n, 10), for any n. It needs torch."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from fmnist.adapters.onnx.classifier import INPUT, OUTPUT
from fmnist.domain.model.data.images import SIDE

_OPSET = 20  # torch 2.13 writes it without a conversion, and ONNX Runtime supports it since 1.17


def export_onnx(network: nn.Module) -> bytes:
    """Return the network as the bytes of an ONNX model. It must be on the CPU and in evaluation mode."""
    # Two images, because torch.export would fix the batch size at 1 for an example of one.
    example = torch.zeros(2, 1, SIDE, SIDE)
    with _quiet():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=_OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
        )
    assert program is not None  # always so with dynamo=True
    return bytes(program.model_proto.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's warnings about absent torchvision and about its own use of deprecated functions."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)
