"""Compares each part of a training step of `fast` on a CPU with its floor.

The floor is the larger of two times: the part's FLOPs at the peak of the cores, and its bytes at the speed of the
cache. Bytes are those of the inputs and outputs of each operation. The images are noise, so no data is needed.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from reporting import machine, print_table
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from fmnist.adapters.lightning.optimization import build_optimizer
from fmnist.adapters.torch.augmentation import augment
from fmnist.adapters.torch.memory import keep_freed_memory
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.training.presets import PRESETS

# The profiler, the counter of FLOPs and the dispatcher know operations by these names. All others are the rest:
# batch, loss, optimizer's bytes, Python.
PARTS = {
    "convolution, forward": ["convolution"],
    "convolution, backward": ["convolution_backward"],
    "normalization": ["native_batch_norm", "native_batch_norm_backward"],
    "pooling, forward": ["max_pool2d_with_indices", "adaptive_max_pool2d"],
    "pooling, backward": ["max_pool2d_with_indices_backward", "adaptive_max_pool2d_backward"],
    "activation": ["relu_", "threshold_backward"],
    "optimizer": ["Optimizer.step#SGD.step"],
}
STEPS = 50


class Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch has no types here
    """Counts the bytes that each operation reads and writes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, result)) if isinstance(leaf, torch.Tensor)]
            self.bytes[func.overloadpacket.__name__] += sum(tensor.nbytes for tensor in tensors)
        return result


def seconds(work: Callable[[], object], times: int) -> float:
    """Return the seconds of one call, of the best of nine rounds."""
    rounds = []
    for _ in range(9):
        began = time.perf_counter()
        for _ in range(times):
            work()
        rounds.append((time.perf_counter() - began) / times)
    return min(rounds)


def peaks() -> dict[str, float]:
    """Measure GFLOP/s of a large product and a large convolution, and GB/s of a copy in the cache."""
    a, b = torch.randn(2, 2048, 2048)
    images = torch.randn(64, 128, 28, 28).contiguous(memory_format=torch.channels_last)
    kernel = torch.randn(128, 128, 3, 3).contiguous(memory_format=torch.channels_last)
    source, target = torch.randn(2, 6 * 2**18)  # 6 MiB, the size of the largest activation
    with torch.no_grad():
        return {
            "product": 2 * 2048**3 / 1e9 / seconds(lambda: a @ b, 2),
            "convolution": 2 * 64 * 26**2 * 9 * 128**2 / 1e9 / seconds(lambda: functional.conv2d(images, kernel), 2),
            "cache": 2 * source.nbytes / 1e9 / seconds(lambda: target.copy_(source), 20),
        }


def main() -> None:
    keep_freed_memory()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    peak = peaks()
    print(json.dumps(machine("torch") | {name: round(value, 1) for name, value in peak.items()}))
    recipe = PRESETS["fast"]
    network = build_network(recipe.architecture).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = build_optimizer(recipe, network)
    images, labels = torch.randint(256, (55_000, 28, 28), dtype=torch.uint8), torch.randint(10, (55_000,))
    batch = slice(recipe.batch_size)

    def step() -> None:
        inputs = images[batch].unsqueeze(1).float().div_(255).sub_(0.3).div_(0.3)
        logits = network(inputs.contiguous(memory_format=torch.channels_last))
        optimizer.zero_grad()
        functional.cross_entropy(logits, labels[batch], label_smoothing=recipe.label_smoothing).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    alone = seconds(step, STEPS)
    with FlopCounterMode(display=False) as counted, Traffic() as traffic:
        step()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        began = time.perf_counter()
        for _ in range(STEPS):
            step()
        whole = (time.perf_counter() - began) / STEPS
    counts = (
        {event.key.removeprefix("aten::"): event.cpu_time_total / 1e6 / STEPS for event in profiled.key_averages()},
        {str(name).removeprefix("aten."): flops / 1e9 for name, flops in counted.get_flop_counts()["Global"].items()},
        {name: moved / 1e9 for name, moved in traffic.bytes.items()},
    )
    parts = {part: [sum(count.get(name, 0.0) for name in names) for count in counts] for part, names in PARTS.items()}
    totals = [whole, counted.get_total_flops() / 1e9, traffic.bytes.total() / 1e9]
    parts["rest"] = [total - sum(each[column] for each in parts.values()) for column, total in enumerate(totals)]
    fastest = max(peak["product"], peak["convolution"])
    floors = {part: max(work / fastest, moved / peak["cache"]) for part, (_, work, moved) in parts.items()}
    table = [["part", "ms", "GFLOP", "MB", "floor, ms", "of its floor"]]
    for part, (took, work, moved) in {**parts, "step": totals}.items():
        floor = floors.get(part, sum(floors.values()))
        times = f"{took / floor:.1f}" if floor else "-"
        table.append([part, f"{took * 1e3:.2f}", f"{work:.2f}", f"{moved * 1e3:.0f}", f"{floor * 1e3:.2f}", times])
    print_table(table)
    epoch = seconds(lambda: augment(images, recipe, epoch=1, seed=0, epoch_seed=0), 1)
    per_step = epoch / (len(labels) // recipe.batch_size)
    print(f"a step without the profiler: {alone * 1e3:.2f} ms; augmentation per step: {per_step * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
