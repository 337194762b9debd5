"""Prepares BentoML, whose pins conflict with ours: an environment of its own, and the model without our store."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from serving_subjects import THREADS, download

HERE = Path(__file__).parent
ENVIRONMENT = HERE / "results" / "bentoml"
PYTHON = str(ENVIRONMENT / "bin" / "python")
# Without --quiet it writes a line for each request, which slows it.
COMMAND = (PYTHON, "-m", "bentoml", "serve", "serving_bentoml:Classifier", "--working-dir", str(HERE), "--quiet")
REQUIREMENTS = HERE / "serving_bentoml.txt"
# The same runtime for all subjects.
SHARED = ("numpy", "onnxruntime")


def version() -> str:
    return REQUIREMENTS.read_text(encoding="utf-8").strip().removeprefix("bentoml==")


def install() -> None:
    """Make the environment, or bring it up to date."""
    print(f"installing BentoML into {ENVIRONMENT}", flush=True)
    if not Path(PYTHON).exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "-r", str(REQUIREMENTS), *(f"{name}=={metadata.version(name)}" for name in SHARED)], check=True
    )


def export(model: str, folder: Path) -> None:
    """Write the ONNX model, and beside it the description that `serving_bentoml.py` reads."""
    packed = download(model).factory
    normalization = packed.info.normalization
    description = {
        "mean": normalization.mean,
        "std": normalization.std,
        "class_names": packed.info.class_names,
        "threads": THREADS,
    }
    folder.mkdir()
    (folder / "model.onnx").write_bytes(packed.onnx)
    (folder / "model.json").write_text(json.dumps(description), encoding="utf-8")
