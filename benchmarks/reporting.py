"""Shared by the benchmarks: the machine's description, and the form of tables and results."""

import itertools
import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine(*packages: str) -> dict[str, Any]:
    """Return date, machine, load and versions of packages."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z",
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        **_gpu(),
        "load": os.getloadavg(),
    }


def _gpu() -> dict[str, Any]:
    """Return the GPU's name and versions from torch, if there is a GPU."""
    try:
        import torch
    except ImportError:
        return {}
    if not torch.cuda.is_available():
        return {}
    return {
        "gpu": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }


def print_table(rows: list[list[str]]) -> None:
    """Print rows of cells in aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def intervals(ends: list[float]) -> list[float]:
    """Return the seconds of each epoch except the first, which includes one-time work."""
    return [after - before for before, after in itertools.pairwise(ends)]


def append(path: Path, record: dict[str, Any]) -> None:
    """Append a record to a file of JSON lines; make its directory if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    print(f"appended to {path}")
