"""Advice after an error of the domain: the command, flag or variable that can help."""

from fmnist.domain.model.errors import FmnistError, Remedy

_TEXT = {
    Remedy.BUILD_DATA: "run fmnist data build, or set DVC_REPO_URL to another registry",
    Remedy.NAME_DATA_VERSION: "give --data-version",
    Remedy.MEASURE_ON_VAL: "give --split val, but only if the models were not trained on it",
    Remedy.TRAIN: "run fmnist train, or name a model",
    Remedy.NAME_SOURCE: "set MLFLOW_REGISTERED_MODEL_NAME to the model to promote, such as dev.NAME",
    Remedy.COMPARE: "run fmnist promote compare",
    Remedy.COMPARE_BY_EVALUATION: "compare with --mode evaluate",
    Remedy.COMPARE_AND_STAGE: "run fmnist promote compare and fmnist promote stage on its source version",
    Remedy.STAGE: "run fmnist promote stage",
    Remedy.TEST: "run fmnist promote test",
    Remedy.APPROVE: "run fmnist promote approve --by WHO --reason WHY",
    Remedy.ROLL_BACK: "run fmnist promote rollback again",
    Remedy.SAY_WHO: "give --by WHO",
    Remedy.SAY_WHY: "give --reason WHY",
    Remedy.SHOW_STATUS: "run fmnist promote status before you try again",
}


def with_remedies(error: FmnistError) -> str:
    """Return the message of `error`, followed by advice."""
    return "; ".join([str(error), *(_TEXT[remedy] for remedy in error.remedies)])
