"""Measures training on one GPU: accuracy, time and speed of presets, beside their goals.

It needs numpy, torch and lightning, the four files of Fashion-MNIST, and no network. fmnist need not be installed.
Each run has a process of its own. Its figures are merged into one JSON file, so parts can be measured one by one:
--presets and --seeds choose a part. Each run is ended after nine minutes.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import checkout  # noqa: F401 - for its effect
from gpu_report import GOALS, Run, merge, read, table_of_goals, table_of_runs
from reporting import print_table

from fmnist.adapters.idx.files import RAW_FILES, check_file
from fmnist.domain.model.errors import CorruptData
from fmnist.domain.model.training.presets import PRESETS

HERE = Path(__file__).parent
LIMIT_SECONDS = 540
CHECKED_IMAGES = 64
QUICK_EPOCHS, QUICK_IMAGES, QUICK_BATCH = 2, 128, 32

Plan = tuple[str, int]
"""A preset and its number of epochs."""
EPOCHS = {name: recipe.max_epochs for name, recipe in PRESETS.items()}
SEEDS: dict[Plan, int] = {(goal.preset, goal.epochs or EPOCHS[goal.preset]): goal.seeds for goal in GOALS}


def main() -> None:
    parser = _parser()
    options = parser.parse_args()
    output = options.output or HERE / "results" / ("gpu-quick.json" if options.quick else "gpu.json")
    try:
        for file in RAW_FILES:
            check_file(options.raw / file.name, file)
        read(output)
    except CorruptData as error:
        parser.error(f"{error}. --raw names a directory with {', '.join(file.name for file in RAW_FILES)}")
    except ValueError as error:
        parser.error(str(error))
    import torch

    from fmnist.adapters.torch.compilation import has_compiler

    if not torch.cuda.is_available() and not options.quick:
        parser.error(
            f"torch {torch.__version__} finds no GPU: look at nvidia-smi, and install a torch that is built for CUDA. "
            "--quick tests this command without a GPU"
        )
    if torch.cuda.is_available() and not has_compiler():
        parser.error("no C compiler: compiled steps need gcc or clang, or the one that CC names")
    if options.check:
        check(options)
    else:
        train(options, output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=Path, required=True, help="directory of the four official .gz files")
    parser.add_argument(
        "--presets",
        type=_plan,
        nargs="+",
        metavar="PRESET[:EPOCHS]",
        help=f"presets to train, of {', '.join(PRESETS)}, with other epochs if given (default: those of the goals)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="seeds (default: 0 to 4; as many as a goal needs)")
    parser.add_argument("--check", action="store_true", help="train nothing: compare fast steps with plain float32")
    parser.add_argument("--quick", action="store_true", help="test this command with few images, also without a GPU")
    parser.add_argument("--output", type=Path, help="JSON file of all runs (default: results/gpu.json)")
    return parser


def _plan(text: str) -> Plan:
    preset, colon, epochs = text.partition(":")
    if preset not in PRESETS:
        raise argparse.ArgumentTypeError(f"{preset!r} is no preset: choose one of {', '.join(PRESETS)}")
    if colon and not (epochs.isdecimal() and int(epochs) >= 2):
        raise argparse.ArgumentTypeError(f"{text!r}: expected at least 2 epochs, for example {preset}:2")
    return preset, int(epochs or EPOCHS[preset])


def measured(preset: str, epochs: int, seed: int, *, raw: Path, quick: bool) -> Run | None:
    """Run a preset in a process of its own, and return its figures. None if it failed, which it has said."""
    job = {
        "preset": preset,
        "epochs": epochs,
        "seed": seed,
        "raw": str(raw),
        "images": QUICK_IMAGES if quick else None,
        "batch_size": QUICK_BATCH if quick else None,
        "started": time.time(),
    }
    command = [sys.executable, str(HERE / "gpu_run.py"), json.dumps(job)]
    try:
        told = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=LIMIT_SECONDS).stdout
    except subprocess.TimeoutExpired as error:
        print(f"  it did not end within {LIMIT_SECONDS} s", file=sys.stderr)
        told = error.stdout or b""
    except subprocess.CalledProcessError as error:
        print(f"  it ended with status {error.returncode}", file=sys.stderr)
        told = error.stdout
    # A run prints its figures before the bare loop, and again with the ratio to it.
    lines = [line for line in told.splitlines(keepends=True) if line.endswith(b"}\n")]
    figures: Run = json.loads(lines[-1]) if lines else {}
    return {**figures, "commit": _commit()} if figures else None


def _commit() -> str | None:
    """Return the commit of this checkout, or None if it is no repository."""
    try:
        command = ["git", "-C", str(HERE), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def check(options: argparse.Namespace) -> None:
    """Compare fast steps and augmentation with their references, and end with status 1 if one is too far off."""
    import torch
    from gpu_checks import table_of_checks

    from fmnist.adapters.idx.splits import read_splits

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = read_splits(options.raw)["train"].head(CHECKED_IMAGES)
    architectures = dict.fromkeys(PRESETS[preset].architecture for preset, _ in options.presets or SEEDS)
    rows = table_of_checks(list(architectures), images, device)
    print_table(rows)
    if bad := sum(row[-1] == "no" for row in rows):
        sys.exit(f"{bad} of these checks failed on {device.type}")


def train(options: argparse.Namespace, output: Path) -> None:
    """Run every preset with every seed, merge their figures into `output`, and print tables of all runs in it."""
    plans: list[Plan] = options.presets or list(SEEDS)
    if options.quick:
        print(f"a test of this command with {QUICK_IMAGES} images: its figures say nothing")
        plans = [(preset, QUICK_EPOCHS) for preset in dict.fromkeys(preset for preset, _ in plans)]
    failed = 0
    for preset, epochs in plans:
        for seed in options.seeds or range(1 if options.quick else SEEDS.get((preset, epochs), 5)):
            print(f"{preset}:{epochs}, seed {seed}", flush=True)
            if run := measured(preset, epochs, seed, raw=options.raw, quick=options.quick):
                merge(output, run)
            else:
                failed += 1
    if runs := read(output):
        print_table(table_of_runs(runs))
    if not options.quick:
        print_table(table_of_goals(runs, EPOCHS))
    print(f"all runs are in {output}")
    if failed:
        sys.exit(f"{failed} runs failed")


if __name__ == "__main__":
    main()
