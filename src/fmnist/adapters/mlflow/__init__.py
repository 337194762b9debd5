"""MLflow: the `Tracker` and the `ModelStore`.

MLflow reads how it should behave from the environment, part of it while it is imported; these are our defaults, and a
variable that is already set wins.
"""

import os

from fmnist.adapters.mlflow.patience import PATIENCE

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    **PATIENCE,
}
for _name, _value in _DEFAULTS.items():
    os.environ.setdefault(_name, _value)
