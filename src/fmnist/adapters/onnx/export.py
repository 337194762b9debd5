"""A torch network as ONNX: float32, `images` (n, 1, 28, 28) to `logits` (n, 10) for any n. It needs torch, to write."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from fmnist.adapters.onnx.signature import INPUT, OUTPUT
from fmnist.domain.model.data.images import SIDE

_OPSET = 20  # what torch 2.13 writes without converting, and ONNX Runtime reads since 1.17


def export_onnx(network: nn.Module) -> bytes:
    """Return the network, which must be on the CPU and in evaluation mode, as the bytes of an ONNX model."""
    # Of two images: torch.export takes an example batch of one for a batch that is always one.
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
    assert program is not None  # it is for dynamo=True
    return bytes(program.model_proto.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says of itself: that torchvision is absent, that it uses what torch deprecates."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)
