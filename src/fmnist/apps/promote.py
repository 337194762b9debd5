"""`fmnist promote`: one command for each step of a promotion, `run` for all steps, and `rollback`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fmnist.apps import promotion_options as options
from fmnist.apps.outputs import AsJson, check_output_dir, examples
from fmnist.apps.process import begin
from fmnist.apps.promotion_report import StepReport, give, print_history, print_status, print_trace
from fmnist.apps.terminal import stderr

if TYPE_CHECKING:
    from fmnist.apps.containers.promote import PromoteContainer

app = typer.Typer(help="Promote models to production, show the reasons, and roll back.", no_args_is_help=True)


@app.command(
    "run",
    epilog=examples(
        "fmnist promote run",
        "fmnist promote run --model-uri models:/dev.fashion-mnist-classifier/3",
        "fmnist promote run --approval manual --policy strict.toml --json",
    ),
)
def run_all(
    model_uri: options.Source = None,
    mode: options.ModeOption = None,
    split: options.Split = "test",
    data_version: options.DataVersion = None,
    policy: options.PolicyFile = None,
    metric: options.Metric = None,
    threshold: options.Threshold = None,
    approval: options.ApprovalMode = "automatic",
    by: options.By = None,
    serving_image: options.Image = None,
    output_dir: options.OutputDir = None,
    *,
    higher_is_better: options.Higher = None,
    as_json: AsJson = False,
) -> None:
    """Run compare, stage, test and release in order, and stop at the first step that refuses."""
    contract = {"metric": metric, "higher_is_better": higher_is_better, "threshold": threshold}
    container = _container(output_dir)
    rules = options.read_policy(policy, **contract)
    result = container.promotion_run().run(
        options.find_challenger(container, model_uri),
        rules,
        options.mode_of(container.settings(), mode, **contract),
        by=options.who(by),
        approval=approval,
        split=split,
        data_version=data_version,
        serving_image=serving_image,
    )
    hints = []
    if result.released is not None:
        hints = ["fmnist promote status", "fmnist promote rollback --reason WHY"]
    elif result.acceptance is not None and result.acceptance.passed:
        hints = [options.approve_hint(result.staged), f"fmnist promote release --approval {approval}"]
    report = StepReport(
        promoted=result.released is not None,
        message=result.message,
        decision=result.decision,
        staged=result.staged,
        acceptance=result.acceptance,
        released=result.released,
        hints=hints,
    )
    give(report, as_json=as_json, output_dir=output_dir)


@app.command(
    epilog=examples(
        "fmnist promote compare",
        "fmnist promote compare --model-uri models:/dev.fashion-mnist-classifier/3 --policy strict.toml",
        "fmnist promote compare --mode contract --metric val_loss --lower-is-better --threshold 0.01",
    )
)
def compare(
    model_uri: options.Source = None,
    mode: options.ModeOption = None,
    split: options.Split = "test",
    data_version: options.DataVersion = None,
    policy: options.PolicyFile = None,
    metric: options.Metric = None,
    threshold: options.Threshold = None,
    output_dir: options.OutputDir = None,
    *,
    higher_is_better: options.Higher = None,
    as_json: AsJson = False,
) -> None:
    """Decide whether a model is better than the champion, and record why."""
    contract = {"metric": metric, "higher_is_better": higher_is_better, "threshold": threshold}
    container = _container(output_dir)
    rules = options.read_policy(policy, **contract)
    record = container.comparison().compare(
        options.find_challenger(container, model_uri),
        rules,
        options.mode_of(container.settings(), mode, **contract),
        split=split,
        data_version=data_version,
    )
    decision = record.decision
    hints = [f"fmnist promote stage --model-uri {record.version}"] if decision.promoted else []
    report = StepReport(promoted=decision.promoted, message=decision.message, decision=record, hints=hints)
    give(report, as_json=as_json, output_dir=output_dir)


@app.command(epilog=examples("fmnist promote stage --model-uri models:/dev.fashion-mnist-classifier/3"))
def stage(model_uri: options.Source = None, output_dir: options.OutputDir = None, *, as_json: AsJson = False) -> None:
    """Copy a model that passed the comparison to staging.NAME, with the alias @candidate."""
    container = _container(output_dir)
    outcome = container.promotion().stage(options.find_challenger(container, model_uri))
    report = StepReport(promoted=True, message=outcome.message, staged=outcome.version, hints=["fmnist promote test"])
    give(report, as_json=as_json, output_dir=output_dir)


@app.command("test", epilog=examples("fmnist promote test", "fmnist promote test --json"))
def check_staged(
    model_uri: options.Staged = None,
    policy: options.TestPolicyFile = None,
    output_dir: options.OutputDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Load the staged model like the service does, check its accuracy, and compare its latency with the champion's."""
    container = _container(output_dir)
    rules = options.read_policy(policy) if policy else None
    record = container.acceptance().run(rules, model_uri)
    staged = container.model_store().resolve(record.version)
    hints = [options.approve_hint(staged), f"fmnist promote release --model-uri {staged.uri}"] if record.passed else []
    message = f"the test {record.message}"
    report = StepReport(promoted=record.passed, message=message, acceptance=record, staged=staged, hints=hints)
    give(report, as_json=as_json, output_dir=output_dir)


@app.command(epilog=examples('fmnist promote approve --by "A. Person" --reason "checked the report"'))
def approve(
    by: Annotated[str, typer.Option(help="Name of the person who approves.")],
    reason: Annotated[str, typer.Option(help="Reason to record.")],
    model_uri: options.Staged = None,
    output_dir: options.OutputDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Approve the staged version as the next champion, without releasing it."""
    outcome = _container(output_dir).promotion().approve(model_uri, by=by, reason=reason)
    hints = [f"fmnist promote release --approval manual --model-uri {outcome.version.uri}"]
    report = StepReport(promoted=True, message=outcome.message, staged=outcome.version, hints=hints)
    give(report, as_json=as_json, output_dir=output_dir)


@app.command(
    epilog=examples(
        "fmnist promote release",
        "fmnist promote release --approval manual --serving-image registry/fmnist-serving:v2",
    )
)
def release(
    model_uri: options.Staged = None,
    approval: options.ApprovalMode = "automatic",
    by: options.By = None,
    serving_image: options.Image = None,
    output_dir: options.OutputDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make the staged version the champion; the old champion gets the alias @previous."""
    container = _container(output_dir)
    outcome = container.promotion().release(
        model_uri, by=options.who(by), approval=approval, serving_image=serving_image
    )
    report = StepReport(
        promoted=True,
        message=outcome.message,
        staged=container.model_store().resolve(outcome.version.tags["released_from"]),
        released=outcome.version,
        hints=["fmnist promote status", "fmnist promote rollback --reason WHY"],
    )
    give(report, as_json=as_json, output_dir=output_dir)


@app.command(epilog=examples('fmnist promote rollback --reason "Shirts are classified as coats"'))
def rollback(
    reason: Annotated[str, typer.Option(help="Reason to record.")],
    by: options.By = None,
    output_dir: options.OutputDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make the previous champion the champion again."""
    outcome = _container(output_dir).rollback().run(by=options.who(by), reason=reason)
    report = StepReport(
        promoted=True,
        message=outcome.message,
        released=outcome.version,
        hints=["fmnist promote status", "fmnist promote history"],
    )
    give(report, as_json=as_json, output_dir=output_dir)


@app.command(epilog=examples("fmnist promote status", "fmnist promote status --json"))
def status(*, as_json: AsJson = False) -> None:
    """Show the newest version, the candidate, the champion and the previous champion, with run, data and image."""
    print_status(_container().overview().status(), as_json=as_json)


@app.command(epilog=examples("fmnist promote history", "fmnist promote history --json"))
def history(*, as_json: AsJson = False) -> None:
    """List the promotion events of all versions, oldest first."""
    print_history(_container().overview().history(), as_json=as_json)


@app.command(epilog=examples("fmnist promote trace models:/prod.fashion-mnist-classifier@champion"))
def trace(
    model_uri: Annotated[str, typer.Argument(help="Model, as models:/NAME/VERSION or models:/NAME@ALIAS.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show the lineage of a model: its copies, its run, and the run's data, code, image and workflow."""
    print_trace(_container().trace().of(model_uri), as_json=as_json)


def _container(output_dir: Path | None = None) -> "PromoteContainer":
    """Begin a command that writes its outputs to this directory."""
    settings = begin()
    check_output_dir(output_dir)
    with stderr().status("loading mlflow"):
        from fmnist.apps.containers.promote import PromoteContainer

        return PromoteContainer(settings=settings)
