"""Full float32 precision for a classifier's predictions. Training keeps the precision of the process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

# A backend inherits the value of an outer one until it gets its own. So outer ones come first here. An inner one is set
# only if it has its own value, because setting it would end the inheritance permanently.
_BACKENDS: tuple[Any, ...] = (
    torch.backends,
    torch.backends.cudnn,
    torch.backends.cudnn.conv,  # type: ignore[attr-defined]  # absent from its stubs, as the next ones
    torch.backends.cuda.matmul,
    torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
)
_FULL = "ieee"

_lock = threading.Lock()
_answering = 0
_before: list[tuple[Any, str]] = []


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute float32 without TF32 and bfloat16 inside of the block, and restore the settings afterwards.

    A GPU computes convolutions in TF32 by default, which changes a probability by more than the golden batch's
    tolerance. The setting is global: the first thread that enters changes it, and the last that leaves restores it.
    """
    global _answering  # noqa: PLW0603 - all threads share torch's setting
    with _lock:
        if _answering == 0:
            _forbid()
        _answering += 1
    try:
        yield
    finally:
        with _lock:
            _answering -= 1
            if _answering == 0:
                _restore()


def _forbid() -> None:
    for backend in _BACKENDS:
        if (found := backend.fp32_precision) != _FULL:
            _before.append((backend, found))
            backend.fp32_precision = _FULL


def _restore() -> None:
    while _before:
        backend, found = _before.pop()
        backend.fp32_precision = found
