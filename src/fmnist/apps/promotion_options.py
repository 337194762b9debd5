"""The options that the commands of `fmnist promote` share, and the functions that read them."""

import logging
import os
import pwd
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from fmnist.domain.model.data.dataset import MEASURED_SPLITS
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.files import read_toml
from fmnist.domain.model.promotion.policy import Mode, PromotionPolicy

if TYPE_CHECKING:
    from fmnist.apps.containers.promote import PromoteContainer
    from fmnist.apps.settings import Settings
    from fmnist.domain.model.model import ModelVersion

_Policy = TypeVar("_Policy")
logger = logging.getLogger(__name__)

# Panels of the help: each table is as wide as its own options need.
_CONTRACT, _OUTPUT = "Options for --mode contract", "Output"

Approval = Literal["automatic", "manual"]
Source = Annotated[
    str | None,
    typer.Option(
        "--model-uri",
        metavar="URI",
        help="Model to promote, called the challenger.  \\[default: newest version of the model "
        "MLFLOW_REGISTERED_MODEL_NAME; in a platform workflow, the version that the workflow trained]",
    ),
]
Staged = Annotated[
    str | None,
    typer.Option("--model-uri", metavar="URI", help="Staged version.  \\[default: staging.NAME@candidate]"),
]
ModeOption = Annotated[
    Mode | None,
    typer.Option(
        help="Basis of the decision. evaluate: measure both models on the same images. contract: compare one "
        "metric of their training runs.  \\[default: contract in a platform workflow, else evaluate]"
    ),
]
Split = Annotated[
    str,
    typer.Option(
        metavar="|".join(MEASURED_SPLITS),
        help="Split to evaluate both models on. Use val only if neither model was trained on val.",
    ),
]
DataVersion = Annotated[
    str | None, typer.Option(help="Data version of the split.  \\[default: data version of the challenger]")
]
PolicyFile = Annotated[
    Path | None, typer.Option(help="TOML file with the promotion policy.  \\[default: the built-in policy]")
]
TestPolicyFile = Annotated[
    Path | None,
    typer.Option(
        help="TOML file with the policy. It must have the test limits of the policy that compare used.  "
        "\\[default: policy of the comparison]"
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        help="Metric to compare.  \\[default: value in the policy file, else val_acc]", rich_help_panel=_CONTRACT
    ),
]
Higher = Annotated[
    bool | None,
    typer.Option(
        "--higher-is-better/--lower-is-better",
        help="Whether a higher or a lower value is better.  \\[default: value in the policy file, else higher]",
        rich_help_panel=_CONTRACT,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Minimum relative improvement; 0.05 is 5 %.  \\[default: value in the policy file, else 0.05]",
        rich_help_panel=_CONTRACT,
    ),
]
By = Annotated[str | None, typer.Option(help="Name of the person to record.  \\[default: your user name]")]
ApprovalMode = Annotated[
    Approval, typer.Option(help="manual: release only after an approval by fmnist promote approve.")
]
Image = Annotated[
    str | None, typer.Option(help="Serving image to record for the release, with its tag.", rich_help_panel=_OUTPUT)
]
OutputDir = Annotated[
    Path | None,
    typer.Option(
        help="Directory for the output files: promoted, staging_version, prod_version, message and report.json.",
        rich_help_panel=_OUTPUT,
    ),
]


def read_policy(file: Path | None, **overrides: Any) -> PromotionPolicy:
    """Read the policy file. Flags override its values."""
    return policy_from(file, PromotionPolicy.from_mapping, **overrides)


def policy_from(file: Path | None, parse: Callable[[Mapping[str, Any]], _Policy], **overrides: Any) -> _Policy:
    """Read the policy file of the kind that `parse` makes. Without a file, it has its defaults."""
    try:
        values = read_toml(file) if file else {}
    except (OSError, ValueError) as error:
        raise InvalidSetting(f"policy file {file} cannot be read: {error}") from error
    try:
        return parse({**values, **{name: value for name, value in overrides.items() if value is not None}})
    except InvalidSetting as error:
        raise InvalidSetting(f"the policy cannot be used: {error}") from error


def find_challenger(container: "PromoteContainer", uri: str | None) -> "ModelVersion":
    """Return the version at `uri`. The default is the version of the platform's workflow, else the newest version."""
    settings, workflow = container.settings(), None
    if uri is None and settings.on_platform:
        workflow = settings.argo_workflow_uid
        if workflow is None:
            raise InvalidSetting(f"ENVIRONMENT is {settings.environment}: set ARGO_WORKFLOW_UID, or give --model-uri")
    version: ModelVersion = container.challengers().find(uri, workflow)
    return version


def mode_of(settings: "Settings", mode: Mode | None, **of_contract: object) -> Mode:
    """Return the mode of the comparison, and warn about contract flags that have no effect in mode evaluate."""
    chosen = mode or (Mode.CONTRACT if settings.on_platform else Mode.EVALUATE)
    given = [f"--{name.replace('_', '-')}" for name, value in of_contract.items() if value is not None]
    if given and chosen is Mode.EVALUATE:
        logger.warning("no effect in mode evaluate: %s; give --mode contract, or leave them out", ", ".join(given))
    return chosen


def approve_hint(staged: "ModelVersion | None") -> str:
    """Return the command that approves this version."""
    return f"fmnist promote approve --by WHO --reason WHY{f' --model-uri {staged.uri}' if staged else ''}"


def who(by: str | None) -> str:
    """Return `by`, else the user name of the process."""
    if by is not None:
        return by
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, the user may be missing from the user database
        return f"uid {os.getuid()}"
