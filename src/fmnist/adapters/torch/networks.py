"""The architectures. Each maps normalized inputs float32 (n, 1, 28, 28) to logits (n, 10)."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.training.recipe import Architecture

_CLASSES = len(CLASS_NAMES)


def build_network(architecture: Architecture) -> nn.Module:
    """Return a freshly initialized network. Its weights depend only on torch's global seed."""
    return _BUILDERS[architecture]()


def _cnn(narrow: int, middle: int, wide: int) -> nn.Module:
    """Five 3x3 convolutions, most of them at resolutions that are fast on a CPU."""
    return nn.Sequential(
        *_halved(1, narrow),  # 14 x 14
        *_halved(narrow, middle),  # 7 x 7
        *_convolved(middle, middle),
        *_halved(middle, wide),  # 3 x 3
        *_convolved(wide, wide),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(wide, _CLASSES),
    )


def _halved(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """A convolution, then half the resolution. Normalization after the pooling has a quarter of the work."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return convolution, nn.MaxPool2d(2), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


def _convolved(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2015, "Deep Residual Learning", figure 5 left)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_convolved(inputs, outputs, stride),
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
    """ResNet-18 for one channel: four stages of two basic blocks."""
    widths = (64, 128, 256, 512)
    blocks: list[nn.Module] = []
    for stage, (previous, width) in enumerate(zip((64, *widths), widths, strict=False)):
        blocks += [_BasicBlock(previous, width, stride=2 if stage else 1), _BasicBlock(width, width, stride=1)]
    return _initialized(nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, _CLASSES)))


def _initialized(network: nn.Module) -> nn.Module:
    """Initialize the convolutions by their fan-out, as in He et al. 2015 ("Delving Deep into Rectifiers")."""
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


class _PreactivationBlock(nn.Module):
    """Two 3x3 convolutions, each after a batch norm (He et al. 2016, "Identity Mappings in Deep Residual Networks")."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.activation = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True))
        self.residual = nn.Sequential(
            *_convolved(inputs, outputs, stride),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        )
        self.shortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        activated = self.activation(x)
        total: torch.Tensor = self.residual(activated) + (x if self.shortcut is None else self.shortcut(activated))
        return total


def _wide_resnet(depth: int, width: int) -> nn.Module:
    """Three stages of blocks, `width` times as wide as a plain one (Zagoruyko and Komodakis 2016, "Wide ResNets")."""
    widths = (16 * width, 32 * width, 64 * width)
    blocks: list[nn.Module] = []
    for stage, (previous, outputs) in enumerate(zip((16, *widths), widths, strict=False)):
        blocks.append(_PreactivationBlock(previous, outputs, stride=2 if stage else 1))
        blocks += [_PreactivationBlock(outputs, outputs, stride=1) for _ in range((depth - 4) // 6 - 1)]
    last = widths[-1]
    return _initialized(
        nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            *blocks,
            nn.BatchNorm2d(last),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(last, _CLASSES),
        )
    )


_BUILDERS: Mapping[Architecture, Callable[[], nn.Module]] = {
    "cnn": lambda: _cnn(16, 32, 56),  # 59k parameters
    "cnn-wide": lambda: _cnn(32, 64, 128),  # 279k parameters
    "cnn-large": lambda: _cnn(64, 128, 256),  # 1.1M parameters
    "resnet18": lambda: _resnet18(_imagenet_stem()),
    "resnet18-3x3": lambda: _resnet18(nn.Sequential(*_convolved(1, 64))),
    "wrn-16-2": lambda: _wide_resnet(16, 2),  # 0.7M parameters
    "wrn-40-4": lambda: _wide_resnet(40, 4),  # 8.9M parameters
}
