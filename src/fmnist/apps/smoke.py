"""`fmnist smoke`: tests a deployed service over HTTP, for a person or for a pipeline after a deployment."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from fmnist.apps.api_key_option import ApiKey, key_of
from fmnist.apps.outputs import AsJson, examples
from fmnist.apps.process import FAILED, begin
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import InvalidSetting

if TYPE_CHECKING:
    from fmnist.apps.smoke_checks import SmokeReport

EXAMPLES = examples(
    "fmnist smoke http://127.0.0.1:8000",
    "fmnist smoke https://models.example.com/fashion --wait 300 --model models:/prod.fashion-mnist-classifier/7",
    "FMNIST_API_KEY=... fmnist smoke http://127.0.0.1:8000 --json",
)


def smoke(
    url: Annotated[str, typer.Argument(help="URL of the service, including the route prefix.")],
    api_key: ApiKey = None,
    images: Annotated[int, typer.Option(min=1, max=10_000, help="Number of images to send in each format.")] = 200,
    min_accuracy: Annotated[
        float, typer.Option(min=0, max=1, help="Minimum accuracy in each format, from 0 to 1.")
    ] = 0.6,
    model: Annotated[
        str | None,
        typer.Option(help="Version that the service must serve, as models:/NAME/VERSION.  \\[default: any version]"),
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Maximum seconds to wait until the service is ready and serves --model.")
    ] = 0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Time limit of one request, in seconds.")] = 30,
    *,
    as_json: AsJson = False,
) -> None:
    """Check that a running service is ready, answers correctly in every format, and refuses bad input.

    The images come from the data version of the served model. The exit code is 1 if a check failed.
    """
    settings = begin()
    from rich.text import Text

    from fmnist.apps.terminal import stderr

    address = Address(url)
    with stderr().status(Text(f"testing {address}")):
        from fmnist.apps.containers.smoke import SmokeContainer
        from fmnist.apps.smoke_checks import SmokeTest
        from fmnist.domain.model.model import ModelUri

        if model is not None and ModelUri.parse(model).version is None:
            raise InvalidSetting(
                f"--model {model} names no version, but a service reports its version: give models:/NAME/VERSION"
            )
        key = key_of(api_key, settings)
        container = SmokeContainer(settings=settings)
        with container.service(url, api_key=key, timeout=timeout) as service:
            report = SmokeTest(
                service=service,
                registry=container.data_registry(),
                model_uri=model,
                images=images,
                min_accuracy=min_accuracy,
                batch=min(100, settings.request_max_length),
                has_key=key is not None,
            ).run(wait)
    if as_json:
        document = {"url": str(address), "passed": not report.failed, **asdict(report)}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        _print(str(address), report)
    if report.failed:
        raise typer.Exit(FAILED)


def _print(url: str, report: "SmokeReport") -> None:
    from rich.table import Table
    from rich.text import Text

    from fmnist.apps.terminal import stdout

    console = stdout()
    console.print(url, soft_wrap=True, markup=False)
    checks = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for check in report.checks:
        verdict = Text("pass", "green") if check.passed else Text("FAIL", "red")
        checks.add_row(verdict, Text(check.name, no_wrap=True), Text(check.reason, overflow="fold"))
    console.print(checks)
    console.print()
    if report.failed:
        console.print(Text(f"failed: {', '.join(report.failed)}", "bold red"))
    else:
        console.print(Text(f"all {len(report.checks)} checks passed", "bold green"))
