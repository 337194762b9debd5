"""Measures the time from a Parquet file to a tensor: today's layout against the nested lists of data versions 1.x.

The 60,000 images of `train` and `val` are written once in each layout, both with zstd, and read in turns. The time
includes everything that in-process training does: MD5 of the file, decoding, checks, and the copy into a tensor.
"""

import argparse
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from reporting import append, machine, print_table

from fmnist.adapters.parquet.files import SplitReader, write_split
from fmnist.apps.containers.train import TrainContainer
from fmnist.apps.settings import load_environment
from fmnist.domain.model.data.dataset import LabeledImages, SplitFile

RESULTS = Path(__file__).parent / "results" / "data.jsonl"
ONCE = {"nested lists, row by row"}  # takes half a minute, so one read is enough
GOAL_SECONDS, GOAL_RATIO = 0.2, 8.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="number of reads of each file (default: 7)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file to append results to, as JSON lines")
    options = parser.parse_args()

    registry = TrainContainer(settings=load_environment(), compute_name="local").data_registry()
    dataset = registry.resolve()
    parts = [registry.read(dataset, split) for split in ("train", "val")]
    data = LabeledImages(np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]))
    record: dict[str, Any] = {"machine": machine("fmnist", "pyarrow", "torch"), "images": len(data)}
    print(json.dumps(record["machine"]))
    with tempfile.TemporaryDirectory(prefix="fmnist-benchmark-") as temporary:
        ours, nested = Path(temporary) / "ours.parquet", Path(temporary) / "nested.parquet"
        write_split(data, ours)
        lists = pa.array(data.images.tolist(), pa.list_(pa.list_(pa.uint8())))
        pq.write_table(pa.table({"image": lists, "label": data.labels.astype(np.int64)}), nested, compression="zstd")
        subjects: dict[str, Callable[[], torch.Tensor]] = {
            "fixed-size binary": through_the_product(ours),
            "nested lists": through_the_product(nested),
            "nested lists, row by row": lambda: row_by_row(nested),
        }
        seconds: dict[str, list[float]] = {name: [] for name in subjects}
        for round_number in range(options.rounds):
            for name, read in subjects.items():
                if name in ONCE and round_number:
                    continue
                started = time.perf_counter()
                tensor = read()
                seconds[name].append(time.perf_counter() - started)
                assert tensor.shape == (len(data), 28, 28)
        record |= {"seconds": seconds, "bytes": {"ours": ours.stat().st_size, "nested": nested.stat().st_size}}
    record["load_at_end"] = os.getloadavg()
    report(seconds)
    append(options.output, record)


def through_the_product(path: Path) -> Callable[[], torch.Tensor]:
    """Return a function that reads the file as a training run reads a split."""
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    file = SplitFile(split="train", uri=str(path), md5=digest)
    return lambda: torch.tensor(SplitReader()([file]).images)


def row_by_row(path: Path) -> torch.Tensor:
    """Read the file with every pixel as a Python object."""
    rows = pq.read_table(path).column("image").to_pylist()
    return torch.tensor(rows, dtype=torch.uint8)


def report(seconds: dict[str, list[float]]) -> None:
    fastest = seconds["fixed-size binary"]
    rows = [["layout", "min s", "median s", "max s", "over fixed-size binary"]]
    for name, all_of in seconds.items():
        ratios = [value / own for value, own in zip(all_of, fastest, strict=False)]
        spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})"
        rows.append([name, *(f"{f(all_of):.3f}" for f in (min, statistics.median, max)), spread])
    print_table(rows)
    print(f"goals: at most {GOAL_SECONDS} s, and nested lists take at least {GOAL_RATIO:g} times as long")


if __name__ == "__main__":
    main()
