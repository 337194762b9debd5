"""Makes a Ray job run its uploaded code instead of the package that is installed on the cluster.

`ray job submit --working-dir .` puts the root of the upload on Python's path, but the package is in `src` below it.
"""

import os
import sys
from pathlib import Path

_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set by Ray for the command of a job


def run_uploaded_code(module: str) -> None:
    """Replace this process by `module` of the upload, if this is a Ray job whose upload has the package."""
    source = Path("src").absolute()
    environment = {**os.environ, "PYTHONPATH": str(source)}  # noqa: TID251 - for the new process
    if _JOB in environment and (source / "fmnist").is_dir() and not Path(__file__).is_relative_to(source):
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], environment)  # noqa: S606 - no shell
