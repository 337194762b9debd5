"""The job configuration of a driver: the directories from which its workers import."""

import sys
from pathlib import Path

from ray.job_config import JobConfig


class DriverPaths(JobConfig):  # type: ignore[misc]  # ray is not typed here
    """Lets workers import only from directories that this process imports from.

    Ray puts the working directory first on a worker's path. A user's file `mlflow.py` there would replace MLflow.
    """

    _py_driver_sys_path: list[str]

    def _serialize(self) -> str:  # after Ray has collected its directories, and before it sends them
        ours = {Path(entry).absolute() for entry in sys.path}
        self._py_driver_sys_path = [path for path in self._py_driver_sys_path if Path(path) in ours]
        serialized: str = super()._serialize()
        return serialized
