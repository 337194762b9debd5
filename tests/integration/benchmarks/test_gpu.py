"""`benchmarks/gpu.py` on a bare machine, and what it refuses."""

import json
import os
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

GPU = Path(__file__).parents[3] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with numpy, torch, lightning and pyarrow, what they require, and nothing else."""
    directory = tmp_path_factory.mktemp("bare")
    venv.create(directory, symlinks=True)
    (packages,) = directory.glob("lib/python*/site-packages")
    waiting, known = ["numpy", "torch", "lightning", "pyarrow"], set()
    while waiting:
        if (name := waiting.pop()) in known:
            continue
        known.add(name)
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(found.locate_file(top))).resolve())
        needs = [Requirement(line) for line in found.requires or ()]
        waiting += [each.name for each in needs if each.marker is None or each.marker.evaluate({"extra": ""})]
    return directory / "bin" / "python"


def run(python: Path | str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(python), *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("package", ["fmnist", "ray", "mlflow", "dvc", "pydantic", "dependency_injector", "rich"])
def test_the_bare_environment_lacks_what_the_extras_have(bare: Path, package: str) -> None:
    assert f"No module named '{package}'" in run(bare, "-c", f"import {package}").stderr


def test_quick_run_measures_everything_on_a_bare_machine(bare: Path, official_files: Path, tmp_path: Path) -> None:
    output = tmp_path / "results" / "gpu.json"
    arguments = ("--raw", str(official_files), "--quick", "--presets", "speedrun", "--output", str(output))
    done = run(bare, str(GPU), *arguments)
    assert done.returncode == 0, done.stderr
    assert "speedrun:2, seed 0" in done.stdout
    assert "epoch 2 of 2" in done.stderr
    (figures,) = json.loads(output.read_text())["runs"]
    assert (figures["preset"], figures["epochs"], figures["seed"]) == ("speedrun", 2, 0)
    assert figures["first_step_seconds"] > 0
    assert figures["training_seconds"] > 0
    assert figures["over_bare_loop"] > 0
    assert figures["images_per_second"] == pytest.approx(2 * 128 / figures["training_seconds"])
    assert 0 <= figures["val_acc"] <= 1
    assert 0 <= figures["test_acc"] <= 1
    assert figures["parameters"] == 1_110_730
    assert {"date", "python", "torch", "lightning"} <= figures["machine"].keys()


def test_a_run_that_fails_is_told_and_adds_no_figures(official_files: Path, tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    arguments = ("--raw", str(official_files), "--quick", "--presets", "speedrun", "--output", str(output))
    done = run(sys.executable, str(GPU), *arguments, "--seeds", str(2**32))
    assert done.returncode == 1
    assert "it ended with status 1" in done.stderr
    assert done.stderr.endswith("1 runs failed\n")
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--presets", "slow"], "'slow' is no preset: choose one of fast, "),
        (["--presets", "best:1"], "'best:1': expected at least 2 epochs"),
        (["--presets", "best:"], "'best:': expected at least 2 epochs"),
        (["--raw", "/absent"], "/absent/train-images-idx3-ubyte.gz does not exist. --raw names a directory with "),
        (["--output", __file__], f"{__file__} holds no results of this benchmark"),
        ([], None),
    ],
)
def test_a_command_that_cannot_work_says_what_is_wrong(
    official_files: Path, arguments: list[str], complaint: str | None
) -> None:
    if complaint is None and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = run(sys.executable, str(GPU), "--raw", str(official_files), *arguments)
    assert done.returncode == 2
    assert (complaint or "finds no GPU: look at nvidia-smi") in done.stderr
    assert "Traceback" not in done.stderr
