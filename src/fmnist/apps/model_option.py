"""The option that names a registered model, for the commands that take the newest one without it."""

from typing import Annotated

import typer

ModelUri = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Model, as models:/NAME/VERSION or models:/NAME@ALIAS.  "
        "\\[default: newest version of the model MLFLOW_REGISTERED_MODEL_NAME]",
    ),
]
