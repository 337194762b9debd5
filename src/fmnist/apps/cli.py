"""The `fmnist` command with all its subcommands."""

from typing import Annotated

import typer

from fmnist import __version__
from fmnist.apps import (
    canary,
    data,
    deploy,
    drift,
    evaluate,
    predict,
    predict_batch,
    promote,
    serve,
    smoke,
    train,
    tune,
)
from fmnist.apps.process import ReportingGroup

app = typer.Typer(
    cls=ReportingGroup,
    help="Train, evaluate, promote and serve Fashion-MNIST models on versioned data.",
    epilog="First steps:  fmnist data build && fmnist train && fmnist predict --split test",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(data.app, name="data")
app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("tune", epilog=tune.EXAMPLES)(tune.tune)
app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("predict", epilog=predict.EXAMPLES)(predict.predict)
app.command("predict-batch", epilog=predict_batch.EXAMPLES)(predict_batch.predict_batch)
app.add_typer(promote.app, name="promote")
app.command("deploy", epilog=deploy.EXAMPLES)(deploy.deploy)
app.add_typer(canary.app, name="canary")
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.command("drift", epilog=drift.EXAMPLES)(drift.drift)
app.command("smoke", epilog=smoke.EXAMPLES)(smoke.smoke)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - Typer's callback
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _main(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
