"""Plants 100 flipped labels and 50 near duplicates into a data version, audits it, and counts what is found.

The version is a copy in memory. A planted near duplicate replaces an image by a shifted and brightened copy of another
one. What the audit finds besides is unknown: it may be wrong in the official data, too. So the share of findings that
were planted is only a lower bound of the precision.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from reporting import append, machine, print_table

from fmnist.adapters.cleanlab.label_review import CleanlabReview
from fmnist.adapters.jinja2.audit_page import render_audit
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.apps.containers.audit import AuditContainer
from fmnist.apps.settings import load_environment
from fmnist.domain.model.data.dataset import LabeledImages

RESULTS = Path(__file__).parent / "results" / "audit.jsonl"
LABELS, COPIES, FARTHEST, BRIGHTEST = 100, 50, 2, 1.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="seed of what is planted (default: 0)")
    parser.add_argument("--page", type=Path, help="file for the report on the planted version")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file to append results to, as JSON lines")
    options = parser.parse_args()

    container = AuditContainer(settings=load_environment())
    official = container.data_registry()
    dataset = official.resolve()
    splits = {split: official.read(dataset, split) for split in dataset.splits}
    sizes = [len(each) for each in splits.values()]
    whole = LabeledImages.joined(splits.values())
    planted, flipped, copies = plant(whole, np.random.default_rng(options.seed))
    parts = np.split(np.arange(len(whole)), np.cumsum(sizes)[:-1])
    version = {
        split: LabeledImages(planted.images[rows], planted.labels[rows])
        for split, rows in zip(splits, parts, strict=True)
    }
    registry = MemoryDataRegistry()
    registry.add("1.0.0", version)
    container.data_registry.override(registry)
    container.tracker.override(MemoryTracker())
    container.label_review.override(CleanlabReview())

    began, seen = time.perf_counter(), set[str]()

    def show(step: str, _: float) -> None:
        if step not in seen:
            seen.add(step)
            print(f"{time.perf_counter() - began:6.0f} s  {step}", flush=True)

    audit, _ = container.auditing().audit("1.0.0", show)
    seconds = time.perf_counter() - began
    if options.page:
        options.page.write_bytes(render_audit(audit)["report.html"])
    near, doubted = {pair[:2] for pair in audit.near}, set(audit.doubted.tolist())
    suggested = {row: answer for row, _, answer in audit.doubtful}
    record: dict[str, Any] = {
        "machine": machine("fmnist", "cleanlab", "torch"),
        "data_version": dataset.version,
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "labels": {
            "planted": len(flipped),
            "found": len(doubted & set(flipped)),
            "true_class_suggested": sum(suggested.get(row) == truth for row, truth in flipped.items()),
            "all_findings": len(doubted),
        },
        "copies": {"planted": len(copies), "found": len(near & copies), "all_findings": len(near)},
    }
    rows = [["planted", "number", "found", "all findings", "precision at least"]]
    for name in ("labels", "copies"):
        one = record[name]
        bound = f"{one['found'] / max(one['all_findings'], 1):.1%}"
        rows.append([name, *(str(one[key]) for key in ("planted", "found", "all_findings")), bound])
    print_table(rows)
    print(json.dumps(record))
    append(options.output, record)


def plant(
    data: LabeledImages, chance: np.random.Generator
) -> tuple[LabeledImages, dict[int, int], set[tuple[int, int]]]:
    """Return the data with flipped labels and copies, the true class of each flipped row, and the pairs of copies."""
    images, labels = data.images.copy(), data.labels.copy()
    rows = chance.choice(len(data), LABELS + 2 * COPIES, replace=False)
    flipped = {int(row): int(labels[row]) for row in rows[:LABELS]}
    for row, truth in flipped.items():
        labels[row] = (truth + chance.integers(1, 10)) % 10
    pairs = rows[LABELS:].reshape(COPIES, 2)
    for original, copy in pairs:
        down, across = chance.integers(-FARTHEST, FARTHEST + 1, 2)
        padded = np.pad(images[original], FARTHEST)
        moved = padded[FARTHEST - down :, FARTHEST - across :][:28, :28]
        images[copy] = np.minimum(moved * chance.uniform(1.1, BRIGHTEST), 255)
        labels[copy] = labels[original]
    return LabeledImages(images, labels), flipped, {(int(min(pair)), int(max(pair))) for pair in pairs}


if __name__ == "__main__":
    main()
