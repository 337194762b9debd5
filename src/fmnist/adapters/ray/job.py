"""What a driver tells its cluster of itself: where its workers import from."""

import sys
from pathlib import Path

from ray.job_config import JobConfig


class DriverPaths(JobConfig):  # type: ignore[misc]  # ray is not typed here
    """Has workers import from no directory that this process does not import from.

    Ray puts the working directory first on a worker's path, whatever lies there: a file `mlflow.py` of the user's would
    come before MLflow.
    """

    _py_driver_sys_path: list[str]

    def _serialize(self) -> str:  # after Ray has collected its directories, and before it sends them
        ours = {Path(entry).absolute() for entry in sys.path}
        self._py_driver_sys_path = [path for path in self._py_driver_sys_path if Path(path) in ours]
        serialized: str = super()._serialize()
        return serialized
