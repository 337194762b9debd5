"""MLflow: the `Tracker` and the `ModelStore`.

MLflow reads its options from the environment, some of them at import. These are our defaults; a variable that is
already set wins.
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
