"""Full float32 where a classifier answers. Training keeps whatever precision the process has chosen."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

# A backend takes the value of the one before it while it has none of its own. So an outer one comes first, and an inner
# one is touched only where it has its own: writing to it would cut it off from the outer one for good.
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
    """Forbid TF32 and bfloat16 in place of float32 inside of the block, and allow them again as they were.

    A GPU computes convolutions in TF32 by default, which moves a probability by more than a golden batch allows.
    Torch knows this setting for the process only: the first thread to enter changes it, the last to leave restores it.
    """
    global _answering  # noqa: PLW0603 - as torch's setting is, which all threads share
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
