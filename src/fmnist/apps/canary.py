"""`fmnist canary`: lets a staged model answer a share of the requests, and ends that by a decision."""

import dataclasses
import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmnist.apps import promotion_options as options
from fmnist.apps.api_key_option import ApiKey, key_of
from fmnist.apps.outputs import AsJson, check_output_dir, examples, print_json, write_report
from fmnist.apps.process import begin
from fmnist.apps.terminal import stderr, stdout
from fmnist.domain.model.errors import NotReady, StoreUnavailable, UnexpectedReply
from fmnist.domain.model.promotion.canary_policy import Action, CanaryPolicy

if TYPE_CHECKING:
    from fmnist.apps.containers.deploy import DeployContainer
    from fmnist.domain.services.promotion.canary import CanaryDecision, CanaryRelease

_PAUSE_SECONDS = 15.0
_HOUR = 3600

app = typer.Typer(help="Let a staged model answer a share of the requests before its release.", no_args_is_help=True)
logger = logging.getLogger(__name__)

_Challenger = Annotated[
    str | None,
    typer.Option(
        "--model-uri", metavar="URI", help="Challenger; any other is refused.  \\[default: the one that is there]"
    ),
]
_Reason = Annotated[str, typer.Option(help="Reason to record.")]
_Policy = Annotated[
    Path | None, typer.Option(help="TOML file with the canary policy.  \\[default: the built-in policy]")
]
_OutputDir = Annotated[
    Path | None,
    typer.Option(
        help="Directory for the output files: action, changed, model_uri, percent, revision, message and report.json."
    ),
]


@app.command(
    epilog=examples(
        "fmnist canary start",
        "fmnist canary start --model-uri models:/staging.fashion-mnist-classifier/4 --policy canary.toml",
    )
)
def start(
    model_uri: options.Staged = None,
    policy: _Policy = None,
    by: options.By = None,
    output_dir: _OutputDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Give a staged version that passed its test the first share of the requests.

    This commits user_config.canary to the file that the cluster follows, as fmnist deploy does with the model.
    """
    release = _container(output_dir).canary(policy=_read(policy))
    hint = "fmnist canary step URL --wait"
    _give(release.start(model_uri, by=options.who(by)), hint, output_dir, as_json=as_json)


@app.command(
    epilog=examples(
        "fmnist canary step http://127.0.0.1:8000",
        "FMNIST_API_KEY=... fmnist canary step https://models.example.com/fashion --wait --output-dir outputs",
    )
)
def step(
    url: Annotated[str, typer.Argument(help="URL of the service, including the route prefix.")],
    api_key: ApiKey = None,
    model_uri: _Challenger = None,
    policy: _Policy = None,
    by: options.By = None,
    output_dir: _OutputDir = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Repeat until the canary is finished or aborted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare both models by what the service reports: abort the canary, wait, or give it its next share.

    It may be run at any time and as often as you like: its bounds hold at all looks together.
    """
    container, rules = _container(output_dir), _read(policy)
    release = container.canary(policy=rules)
    with container.service(url, api_key=key_of(api_key, container.settings())) as service:
        decision = release.step(service.canary(), model_uri, by=options.who(by))
        if wait:
            decision = _follow(release, service, decision, rules.max_hours, by=options.who(by))
    hint = "fmnist promote release && fmnist deploy" if decision.action == "finish" else None
    _give(decision, hint, output_dir, as_json=as_json)


@app.command(epilog=examples('fmnist canary abort --reason "It calls bags coats"'))
def abort(
    reason: _Reason,
    model_uri: _Challenger = None,
    by: options.By = None,
    output_dir: _OutputDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Take all requests from the challenger."""
    decision = _container(output_dir).canary().abort(model_uri, by=options.who(by), reason=reason)
    _give(decision, None, output_dir, as_json=as_json)


@app.command(epilog=examples('fmnist canary finish --reason "A week at 50 % was long enough"'))
def finish(
    reason: _Reason,
    model_uri: _Challenger = None,
    by: options.By = None,
    output_dir: _OutputDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Give the challenger all requests until its release, without a further look."""
    decision = _container(output_dir).canary().finish(model_uri, by=options.who(by), reason=reason)
    _give(decision, "fmnist promote release && fmnist deploy", output_dir, as_json=as_json)


def _read(policy: Path | None) -> CanaryPolicy:
    return options.policy_from(policy, CanaryPolicy.from_mapping)


def _container(output_dir: Path | None) -> "DeployContainer":
    settings = begin()
    check_output_dir(output_dir)
    with stderr().status("loading mlflow"):
        from fmnist.apps.containers.deploy import DeployContainer

        return DeployContainer(settings=settings)


def _follow(
    release: "CanaryRelease", service: Any, decision: "CanaryDecision", max_hours: float, *, by: str
) -> "CanaryDecision":
    """Look again and again, until the canary is over, or a share has lasted too long."""
    uri, since = decision.canary.model_uri, time.monotonic()
    with stderr().status("waiting for more requests"):
        while not decision.is_final:
            time.sleep(_PAUSE_SECONDS)
            try:
                if time.monotonic() - since > _HOUR * max_hours:
                    reason = f"not shown to be good enough within {max_hours:g} h: {decision.reason}"
                    return release.abort(uri, by=by, reason=reason)
                decision = release.step(service.canary(), uri, by=by)
            except (StoreUnavailable, UnexpectedReply) as error:  # it answered before, and will do so again
                logger.warning("%s; the next look is in %g s", error, _PAUSE_SECONDS)
            except NotReady as error:  # another command was faster
                gone = dataclasses.replace(decision.after, canary=None)
                return dataclasses.replace(decision, action=Action.ABORT, reason=str(error), before=gone, after=gone)
            if decision.changed:
                since = time.monotonic()
    return decision


def _give(decision: "CanaryDecision", hint: str | None, output_dir: Path | None, *, as_json: bool) -> None:
    after = decision.after.canary
    outputs = {
        "action": str(decision.action),
        "changed": str(decision.changed).lower(),
        "model_uri": decision.canary.model_uri,
        "percent": str(after.percent if after else 0),
        "revision": decision.after.revision,
        "message": decision.message,
    }
    document: dict[str, Any] = {
        **outputs,
        "changed": decision.changed,
        "percent": after.percent if after else 0,
        "guards": [asdict(guard) for guard in decision.guards],
    }
    write_report(output_dir, outputs, document)
    if as_json:
        print_json(document)
        return
    _print(decision)
    if hint:
        stderr().print(f"next: {hint}", style="dim", soft_wrap=True)


def _print(decision: "CanaryDecision") -> None:
    from rich.table import Table
    from rich.text import Text

    stdout().print(decision.message, soft_wrap=True, markup=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for guard in decision.guards:
        table.add_row(guard.name, str(guard.finding), Text(guard.reason, overflow="fold"))
    if table.rows:
        stdout().print(table)
