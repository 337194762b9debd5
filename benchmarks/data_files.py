"""Measures how 600,000 images come from one Parquet file and from several into a training on two Ray nodes.

The images are those of `train` and `val`, ten times. Each case is a process of its own. It reads the split some times,
and then starts a training of two workers, one on each node. The training stops after some steps, when all of its data
are in memory. Memory is sampled in a second process, which reads once, because sampling takes time from what is
measured. Both nodes are on this machine, and have one CPU each.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from ray.cluster_utils import Cluster
from reporting import append, machine, print_table

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.environment import set_defaults
from fmnist.adapters.parquet.files import SplitReader, write_split
from fmnist.adapters.ray.cluster import join_cluster
from fmnist.adapters.ray.compute import RayCompute
from fmnist.adapters.ray.data import read_split
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.apps.containers.base import registry_settings
from fmnist.apps.settings import load_environment
from fmnist.domain.model.data.dataset import LabeledImages, SplitFile
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.training.run import Progress, TrainingSpec

RESULTS = Path(__file__).parent / "results" / "data.jsonl"
TIMES, STEPS, STORE_BYTES = 10, 20, 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10, help="number of files of the second case (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, help="number of reads of each case (default: 3)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file to append results to, as JSON lines")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)  # how it calls itself
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: expected at least 1")
    if options.case:
        address, folder, files = options.case
        measure(address, Path(folder), int(files), options.rounds, memory=options.memory)
        return

    # As in the clusters that fmnist starts. A node reads it when it starts.
    set_defaults({"RAY_worker_niceness": "0"})
    record: dict[str, Any] = {"machine": machine("fmnist", "pyarrow", "ray", "torch"), "cases": {}}
    with tempfile.TemporaryDirectory(prefix="fmnist-benchmark-") as temporary:
        write_cases(Path(temporary), (1, options.files))
        for files in (1, options.files):
            cluster = Cluster(initialize_head=True, head_node_args=node(include_dashboard=False))
            cluster.add_node(**node())
            command = [sys.executable, __file__, "--case", cluster.address, temporary, str(files)]
            try:
                case = outcome([*command, f"--rounds={options.rounds}"])
                print(f"{files} files: {case}", flush=True)
                case["peaks"] = outcome([*command, "--rounds=1", "--memory"])["peaks"]
            finally:
                cluster.shutdown()
            record["cases"][files] = case
            print(f"{files} files: {case['peaks']}", flush=True)
    rows = [["files", "images", "read s", "first step s", "driver MiB", "worker MiB", "reading task MiB"]]
    for files, case in record["cases"].items():
        seconds = ", ".join(f"{value:.2f}" for value in case["read"])
        peaks = [
            f"{case['peaks'].get(kind, 0) / 2**20:.0f}" for kind in ("driver", "RayTrainWorker", "ReadSplitSource")
        ]
        rows.append([str(files), str(case["images"]), seconds, f"{case['first_step']:.1f}", *peaks])
    print(json.dumps(record["machine"]))
    print_table(rows)
    append(options.output, record)


def outcome(command: list[str]) -> Any:
    """Run a case and return what it prints last."""
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(told.splitlines()[-1])


def node(**more: Any) -> dict[str, Any]:
    return {"num_cpus": 1, "object_store_memory": STORE_BYTES, **more}


def write_cases(folder: Path, cases: tuple[int, ...]) -> None:
    """Write the images as so many files for each case, in a folder named by their number."""
    dataset = registry().resolve()
    parts = [registry().read(dataset, split) for split in ("train", "val")]
    images = np.concatenate([part.images for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    data = LabeledImages(np.tile(images, (TIMES, 1, 1)), np.tile(labels, TIMES))
    for files in cases:
        for number, rows in enumerate(data.cut(files)):
            write_split(rows, folder / str(files) / f"part-{number:05d}.parquet")


def registry() -> DvcDataRegistry:
    return DvcDataRegistry(registry_settings(load_environment()))


def split_file(path: Path) -> SplitFile:
    with path.open("rb") as file:
        return SplitFile("train", str(path), hashlib.file_digest(file, "md5").hexdigest())


def measure(address: str, folder: Path, files: int, rounds: int, *, memory: bool) -> None:
    """Measure one case in this process, and print the result as JSON. `memory` samples memory, and makes it slower."""
    real, cluster = registry().resolve(), ClusterSettings(address=address)
    train = tuple(split_file(path) for path in sorted((folder / str(files)).iterdir()))
    # Without the metadata's number of images, which is that of the real split.
    metadata = {name: value for name, value in real.metadata.items() if name != "splits"}
    dataset = replace(real, splits={**real.splits, "train": train}, metadata=metadata)
    join_cluster(cluster)
    reader, read, peaks = SplitReader(), [], Peaks()
    with peaks if memory else nullcontext():
        for _ in range(rounds):
            started = time.perf_counter()
            images = len(read_split(reader, dataset.files("train")))
            read.append(time.perf_counter() - started)
        spec = TrainingSpec(recipe=Recipe(architecture="cnn", max_epochs=1), num_workers=2)
        first, started = list[float](), time.perf_counter()

        def stop(progress: Progress) -> None:
            first.append(time.perf_counter() - started)
            if progress.step >= STEPS:
                raise KeyboardInterrupt

        compute = RayCompute(cluster, reader, CheckpointStorage(str(folder / f"checkpoints-{memory}")))
        try:
            compute.fit(spec, dataset, f"files-{files}", stop)
        except KeyboardInterrupt:
            compute.close()
    if not first:
        sys.exit(f"{files} files: the training ended before its first report of progress")
    times = {"images": images, "read": read, "first_step": first[0]}
    print(json.dumps({"peaks": peaks.bytes} if memory else times))


class Peaks:
    """Samples the memory that a process shares with no other, and keeps the peak of each kind of process, in bytes.

    It leaves out the object store, which all processes of a node share.
    """

    def __init__(self) -> None:
        self.bytes: dict[str, int] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Peaks":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        own = psutil.Process()
        while not self._end.wait(0.1):
            for process in [own, *own.parent().children(recursive=True)]:
                try:
                    title = "ray::driver" if process == own else (process.cmdline() or [""])[0]
                    if title.startswith("ray::"):
                        kind = title.removeprefix("ray::").partition(".")[0].partition("(")[0]
                        self.bytes[kind] = max(self.bytes.get(kind, 0), process.memory_full_info().uss)
                except psutil.Error:
                    continue  # it has ended


if __name__ == "__main__":
    main()
