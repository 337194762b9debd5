"""The options that the commands of `fmnist promote` share, and how they are read."""

import logging
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.promotion.policy import Mode, PromotionPolicy

if TYPE_CHECKING:
    from fmnist.apps.containers.promote import PromoteContainer
    from fmnist.apps.settings import Settings
    from fmnist.domain.model.model import ModelVersion

logger = logging.getLogger(__name__)

# Panels of the help: each table is as wide as its own options need.
_CONTRACT, _OUTPUT = "Rule of --mode contract", "Output"

Approval = Literal["automatic", "manual"]
Source = Annotated[
    str | None,
    typer.Option(
        "--model-uri",
        metavar="URI",
        help="Model to promote.  \\[default: newest of MLFLOW_REGISTERED_MODEL_NAME; on the platform, of the workflow]",
    ),
]
Staged = Annotated[
    str | None,
    typer.Option("--model-uri", metavar="URI", help="Staged version.  \\[default: staging.NAME@candidate]"),
]
ModeOption = Annotated[
    Mode | None,
    typer.Option(
        help="evaluate: measure both models on the same images; contract: compare a logged metric.  "
        "\\[default: evaluate; on the platform, contract]"
    ),
]
Split = Annotated[
    str,
    typer.Option(
        metavar="test|val", help="Split to evaluate both models on. Use val only if neither was trained on it."
    ),
]
DataVersion = Annotated[
    str | None, typer.Option(help="Data version of the split.  \\[default: that of the challenger]")
]
PolicyFile = Annotated[
    Path | None, typer.Option(help="TOML file with fields of PromotionPolicy.  \\[default: their defaults]")
]
TestPolicyFile = Annotated[
    Path | None,
    typer.Option(help="TOML file with the same test limits as in compare.  \\[default: the policy of the comparison]"),
]
Metric = Annotated[
    str | None,
    typer.Option(help="Metric that both runs logged.  \\[default: the policy's, val_acc]", rich_help_panel=_CONTRACT),
]
Higher = Annotated[
    bool | None,
    typer.Option(
        "--higher-is-better/--lower-is-better",
        help="Which value of the metric is better.  \\[default: the policy's, higher]",
        rich_help_panel=_CONTRACT,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Least relative improvement; 0.05 is 5 %.  \\[default: the policy's, 0.05]", rich_help_panel=_CONTRACT
    ),
]
By = Annotated[str | None, typer.Option(help="Name to record.  \\[default: your user name]")]
ApprovalMode = Annotated[
    Approval, typer.Option(help="manual: fmnist promote approve must have been run for this version.")
]
Image = Annotated[str | None, typer.Option(help="Serving image to record, with its tag.", rich_help_panel=_OUTPUT)]
OutputDir = Annotated[
    Path | None,
    typer.Option(
        help="Directory for promoted, staging_version, prod_version, message and report.json.", rich_help_panel=_OUTPUT
    ),
]


def read_policy(file: Path | None, **overrides: Any) -> PromotionPolicy:
    """Read the policy's file; flags that were given override it."""
    from fmnist.apps.toml import read_toml

    try:
        values = read_toml(file) if file else {}
    except (OSError, ValueError) as error:
        raise InvalidSetting(f"policy file {file} cannot be read: {error}") from error
    try:
        return PromotionPolicy.from_mapping(
            {**values, **{name: value for name, value in overrides.items() if value is not None}}
        )
    except InvalidSetting as error:
        raise InvalidSetting(f"the promotion policy cannot be used: {error}") from error


def find_challenger(container: "PromoteContainer", settings: "Settings", uri: str | None) -> "ModelVersion":
    """Return the version at `uri`. By default, that is the workflow's version on the platform, else the newest."""
    workflow = None
    if uri is None and settings.on_platform:
        workflow = settings.argo_workflow_uid
        if workflow is None:
            raise InvalidSetting(f"ENVIRONMENT is {settings.environment}: set ARGO_WORKFLOW_UID, or give --model-uri")
    version: ModelVersion = container.challengers().find(uri, workflow)
    return version


def mode_of(settings: "Settings", mode: Mode | None, **of_contract: object) -> Mode:
    """Return the mode to decide in, and warn about flags of the contract's rule that have no effect in it."""
    chosen = mode or (Mode.CONTRACT if settings.on_platform else Mode.EVALUATE)
    given = [f"--{name.replace('_', '-')}" for name, value in of_contract.items() if value is not None]
    if given and chosen is Mode.EVALUATE:
        logger.warning("no effect in mode evaluate: %s; give --mode contract, or leave them out", ", ".join(given))
    return chosen


def approve_hint(staged: "ModelVersion | None") -> str:
    """Return the command that approves this version."""
    return f"fmnist promote approve --by WHO --reason WHY{f' --model-uri {staged.uri}' if staged else ''}"


def who(by: str | None) -> str:
    """Return the name given, else that of the process's user."""
    if by is not None:
        return by
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, the user may be missing from the user database
        return f"uid {os.getuid()}"
