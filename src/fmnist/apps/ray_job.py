"""Sees that a Ray job runs the code that was uploaded with it, and not the one that its cluster has installed.

`ray job submit --working-dir .` puts the upload's root on Python's path, and the package lies below it, in `src`.
"""

import os
import sys
from pathlib import Path

_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set by Ray where it runs a job's command


def run_uploaded_code(module: str) -> None:
    """Run `module` of the upload in place of this process, if this is a Ray job whose upload has the package."""
    source = Path("src").absolute()
    environment = {**os.environ, "PYTHONPATH": str(source)}  # noqa: TID251 - of the process that takes over
    if _JOB in environment and (source / "fmnist").is_dir() and not Path(__file__).is_relative_to(source):
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], environment)  # noqa: S606 - no shell
