"""What the commands of `fmnist promote` take, and how it is read: alike in all of them."""

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

# Each in a table of its own, whose columns are as wide as its own options need.
_CONTRACT, _OUTPUT = "The contract's rule (--mode contract)", "What is written"

Approval = Literal["automatic", "manual"]
Source = Annotated[
    str | None,
    typer.Option(
        "--model-uri",
        metavar="URI",
        help="The challenger.  \\[default: newest of MLFLOW_REGISTERED_MODEL_NAME; on the platform, of the workflow]",
    ),
]
Staged = Annotated[
    str | None,
    typer.Option("--model-uri", metavar="URI", help="The staged version.  \\[default: staging.NAME@candidate]"),
]
ModeOption = Annotated[
    Mode | None,
    typer.Option(
        help="Measure both models on the same images, or compare what their runs logged.  "
        "\\[default: evaluate; on the platform, contract]"
    ),
]
Split = Annotated[
    str,
    typer.Option(
        metavar="test|val", help="That both answer for; val only where the champion has not trained on any of it."
    ),
]
DataVersion = Annotated[
    str | None, typer.Option(help="Whose split is measured on.  \\[default: that of the challenger]")
]
PolicyFile = Annotated[
    Path | None, typer.Option(help="TOML file with the names of PromotionPolicy.  \\[default: its defaults]")
]
TestPolicyFile = Annotated[
    Path | None,
    typer.Option(
        help="TOML file with the limits for the test that compare had.  \\[default: the policy of the comparison]"
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(help="That both runs logged.  \\[default: the policy's, val_acc]", rich_help_panel=_CONTRACT),
]
Higher = Annotated[
    bool | None,
    typer.Option(
        "--higher-is-better/--lower-is-better",
        help="Of that metric.  \\[default: the policy's, higher]",
        rich_help_panel=_CONTRACT,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Relative improvement that it takes.  \\[default: the policy's, 0.05]", rich_help_panel=_CONTRACT
    ),
]
By = Annotated[str | None, typer.Option(help="Who does this.  \\[default: your user name]")]
ApprovalMode = Annotated[
    Approval, typer.Option(help="manual: somebody has to have approved this version over this champion.")
]
Image = Annotated[str | None, typer.Option(help="Image that will serve it, with its tag.", rich_help_panel=_OUTPUT)]
OutputDir = Annotated[
    Path | None,
    typer.Option(
        help="Write promoted, staging_version, prod_version, message and report.json there.", rich_help_panel=_OUTPUT
    ),
]


def read_policy(file: Path | None, **overrides: Any) -> PromotionPolicy:
    """Read the policy's file, and put the flags that were given over it."""
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
    """Return the version at `uri`; else what the workflow trained, or on a laptop the newest."""
    workflow = None
    if uri is None and settings.on_platform:
        workflow = settings.argo_workflow_uid
        if workflow is None:
            raise InvalidSetting(f"ENVIRONMENT is {settings.environment}: set ARGO_WORKFLOW_UID, or give --model-uri")
    version: ModelVersion = container.challengers().find(uri, workflow)
    return version


def mode_of(settings: "Settings", mode: Mode | None, **of_contract: object) -> Mode:
    """Return what a decision rests on here, and warn where what was given for the contract's rule has no effect."""
    chosen = mode or (Mode.CONTRACT if settings.on_platform else Mode.EVALUATE)
    given = [f"--{name.replace('_', '-')}" for name, value in of_contract.items() if value is not None]
    if given and chosen is Mode.EVALUATE:
        logger.warning("without effect in mode evaluate: %s; --mode contract decides by them", ", ".join(given))
    return chosen


def approve_hint(staged: "ModelVersion | None") -> str:
    """Return the command that approves this version."""
    return f"fmnist promote approve --by WHO --reason WHY{f' --model-uri {staged.uri}' if staged else ''}"


def who(by: str | None) -> str:
    """Return who is at work: the name given, else that of the process's user."""
    if by is not None:
        return by
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user need not be in its list of users
        return f"uid {os.getuid()}"
