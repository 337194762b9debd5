"""MLflow: the `Tracker` and the `ModelStore`.

MLflow reads how it should behave from the environment, part of it while it is imported; these are our defaults, and a
variable that is already set wins.
"""

from fmnist.adapters.environment import set_defaults
from fmnist.adapters.mlflow.patience import PATIENCE

set_defaults(
    {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        **PATIENCE,
    }
)
