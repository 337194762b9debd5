"""The architectures, each from normalized inputs float32 (n, 1, 28, 28) to logits (n, 10)."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from fmnist.domain.model.images import CLASS_NAMES
from fmnist.domain.model.training import Architecture

_CLASSES = len(CLASS_NAMES)


def build_network(architecture: Architecture) -> nn.Module:
    """Return a freshly initialized network; its weights depend on torch's global seed alone."""
    return _BUILDERS[architecture]()


def _cnn() -> nn.Module:
    """Three convolutions 24-48-96 with batch norm, 53k parameters: 2 x 2 pooling keeps it cheap on a CPU."""
    return nn.Sequential(
        *_cnn_block(1, 24),
        nn.MaxPool2d(2),
        *_cnn_block(24, 48),
        nn.MaxPool2d(2),
        *_cnn_block(48, 96),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(96, _CLASSES),
    )


def _cnn_block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2015, "Deep Residual Learning", figure 5 left)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        activated: torch.Tensor = self.activation(self.residual(x) + self.shortcut(x))
        return activated


def _resnet18(stem: nn.Module) -> nn.Module:
    """ResNet-18 for one channel: four stages of two basic blocks, initialized as He et al. 2015 do."""
    widths = (64, 128, 256, 512)
    blocks: list[nn.Module] = []
    for previous, width in zip((64, *widths), widths, strict=False):
        blocks += [_BasicBlock(previous, width, stride=1 if width == 64 else 2), _BasicBlock(width, width, stride=1)]
    network = nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, _CLASSES))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _imagenet_stem() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def _small_image_stem() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True))


_BUILDERS: Mapping[Architecture, Callable[[], nn.Module]] = {
    "cnn": _cnn,
    "resnet18": lambda: _resnet18(_imagenet_stem()),
    "resnet18-3x3": lambda: _resnet18(_small_image_stem()),
}
