"""A plain PyTorch loop with the network, data, augmentation, optimizer and validation of a recipe: a lower bound."""

import time
from collections.abc import Mapping
from typing import Any

import torch
from reporting import intervals
from torch.nn import functional

from fmnist.adapters.lightning.optimization import build_optimizer, build_schedule
from fmnist.adapters.torch.augmentation import augment
from fmnist.adapters.torch.compilation import compiled
from fmnist.adapters.torch.memory import keep_freed_memory
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.training.recipe import Recipe


def train_bare(recipe: Recipe, normalization: Normalization, splits: Mapping[str, LabeledImages]) -> dict[str, Any]:
    """Train on `train` with seed 0. Return the seconds of each epoch but the first, and the last accuracy on `val`."""
    torch.manual_seed(0)
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = {name: torch.tensor(split.images).to(device) for name, split in splits.items()}
    labels = {name: torch.tensor(split.labels).long().to(device) for name, split in splits.items()}
    network = build_network(recipe.architecture).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = compiled(network) if recipe.compile and device.type == "cuda" else network
    half = torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda" and recipe.precision == "bfloat16")
    optimizer = build_optimizer(recipe, network)
    size = min(recipe.batch_size, len(labels["train"]))
    steps = len(labels["train"]) // size
    schedule = build_schedule(recipe, optimizer, steps)

    def inputs(batch: torch.Tensor) -> torch.Tensor:
        normalized = batch.unsqueeze(1).float().div_(255).sub_(normalization.mean).div_(normalization.std)
        return normalized.contiguous(memory_format=torch.channels_last)

    ends = []
    for epoch in range(recipe.max_epochs):
        network.train()
        augmented = augment(images["train"], recipe, epoch=epoch, seed=0, epoch_seed=epoch)
        order = torch.randperm(len(labels["train"])).to(device)
        for step in range(steps):
            rows = order[step * size : (step + 1) * size]
            with half:
                logits = run(inputs(augmented[rows]))
                loss = functional.cross_entropy(logits, labels["train"][rows], label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad(), half:
            chunks = zip(torch.split(images["val"], 1000), torch.split(labels["val"], 1000), strict=True)
            correct = sum(int((run(inputs(batch)).argmax(1) == answers).sum()) for batch, answers in chunks)
        ends.append(time.time())
    return {"epochs": intervals(ends), "val_acc": correct / len(labels["val"])}
