"""Measures batch prediction in this process against bare ONNX Runtime with as many threads, in turns.

The bare loop gets normalized inputs and drops its answers. `predict-batch` reads Parquet, normalizes, and writes too.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from reporting import append, machine, print_table

from fmnist.adapters.parquet.files import write_split
from fmnist.apps.containers.predict_batch import PredictBatchContainer
from fmnist.apps.settings import load_environment

RESULTS = Path(__file__).parent / "results" / "batch.jsonl"
BATCH, GOAL = 1000, 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="number of turns (default: 5)")
    parser.add_argument("--images", type=int, default=50_000, help="images in each turn (default: 50000)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file to append results to, as JSON lines")
    options = parser.parse_args()

    container = PredictBatchContainer(settings=load_environment())
    version = container.find_version(uri=None)
    classifier = container.model_store().download(version).load()
    registry = container.data_registry()
    data = registry.read(registry.resolve(), "train").head(options.images)
    record: dict[str, Any] = {"machine": machine("fmnist", "onnxruntime", "pyarrow"), "images": len(data)}
    print(json.dumps(record["machine"]))

    inputs = classifier.info.normalization.apply(data.images[:BATCH])
    speeds: dict[str, list[float]] = {"bare": [], "predict-batch": []}
    with tempfile.TemporaryDirectory(prefix="fmnist-benchmark-") as temporary:
        file = Path(temporary) / "images.parquet"
        write_split(data, file)
        # Without its column of labels: with them, a report would be drawn. It is not part of the ratio.
        without_labels(file)
        for number in range(-1, options.rounds):  # the first turn fills caches, and is not counted
            started = time.perf_counter()
            for _ in range(0, len(data), BATCH):
                classifier.logits(inputs)
            bare = len(data) / (time.perf_counter() - started)
            run = container.batch_run(output=container.output(place=f"{temporary}/answers-{number}"))
            result = run.run([str(file)], version.uri, lambda _: None)
            assert result.rows == len(data)
            if number >= 0:
                speeds["bare"].append(bare)
                speeds["predict-batch"].append(result.new_rows / result.seconds)
    record |= {"images_per_second": speeds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    record["load_at_end"] = os.getloadavg()
    report(speeds)
    append(options.output, record)


def without_labels(file: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(file).drop_columns(["label"]), file, compression="zstd", use_dictionary=False)


def report(speeds: dict[str, list[float]]) -> None:
    ratios = [ours / bare for ours, bare in zip(speeds["predict-batch"], speeds["bare"], strict=True)]
    print_table(
        [["subject", "images/s: min, median, max"]]
        + [
            [name, ", ".join(f"{f(values):,.0f}" for f in (min, statistics.median, max))]
            for name, values in speeds.items()
        ]
    )
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    print(f"predict-batch over bare: {spread}; goal: at least {GOAL:g}")


if __name__ == "__main__":
    main()
