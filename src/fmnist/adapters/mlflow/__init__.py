"""MLflow: the `Tracker` and the `ModelStore`.

MLflow reads how it should behave from the environment, part of it while it is imported; these are our defaults, and a
variable that is already set wins.
"""

import os

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # Five attempts, 0, 2, 4 and 8 s apart: a server that restarts is waited for, one that is gone is not for long.
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
for _name, _value in _DEFAULTS.items():
    os.environ.setdefault(_name, _value)
