"""MLflow: the `Tracker` and the `ModelStore`.

MLflow reads its options from the environment, some of them at import. These are our defaults; a variable that is
already set wins.
"""

from fmnist.adapters.environment import set_defaults

# Each call has three attempts, with ten seconds before the last. It fails after 11 s if no server listens, and after
# 70 s without an answer. MLflow's defaults take many minutes. A shorter timeout would end uploads, because the
# server is silent while it copies a whole file to its own store.
TIME_LIMITS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds to connect, and between two bytes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "5",
}
set_defaults(
    {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        **TIME_LIMITS,
    }
)
