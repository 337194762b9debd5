"""`fmnist drift`: shows how the recent traffic of a service differs from what its model was chosen on."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fmnist.apps.api_key_option import ApiKey, key_of
from fmnist.apps.outputs import AsJson, check_output_dir, examples, print_json, write_outputs
from fmnist.apps.process import begin
from fmnist.apps.terminal import print_pairs, stderr, stdout
from fmnist.domain.model.address import Address

if TYPE_CHECKING:
    from fmnist.domain.model.traffic.report import DriftReport

EXAMPLES = examples(
    "fmnist drift http://127.0.0.1:8000",
    "fmnist drift http://127.0.0.1:8000 --output-dir drift",
    "FMNIST_API_KEY=... fmnist drift https://models.example.com/fashion --json",
)


def drift(
    url: Annotated[str, typer.Argument(help="URL of the service, including the route prefix.")],
    api_key: ApiKey = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Directory for the output files: report.html and the figures.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare the recent traffic of a running service with its model's val split.

    The verdict is ok, drifted or unknown. Of windows like val, 1 in 100 is called drifted.
    """
    settings = begin()
    check_output_dir(output_dir)
    with stderr().status("asking the service"):
        from fmnist.apps.containers.drift import DriftContainer

        container = DriftContainer(settings=settings)
        with container.service(url, api_key=key_of(api_key, settings)) as service:
            report: DriftReport = service.drift()
        files = container.render()(str(Address(url)), report) if output_dir else {}
    write_outputs(output_dir, files)
    if as_json:
        print_json(asdict(report))
    else:
        _print(report)
        if output_dir:
            stdout().print(f"report {output_dir / 'report.html'}", soft_wrap=True, markup=False)


def _print(report: "DriftReport") -> None:
    from rich.table import Table

    rows = [
        ("model", report.model_uri),
        ("verdict", f"{report.verdict}: {report.reason}" if report.reason else report.verdict),
        ("images", f"{report.images:,}" + (f", from {report.since} to {report.until}" if report.since else "")),
    ]
    if expected := report.expected_accuracy:
        interval = f"95 % interval {expected.low:.1%}-{expected.high:.1%}"
        rows.append(("expected accuracy", f"{expected.value:.2%} ({interval}). {expected.limit}"))
    if realized := report.realized_accuracy:
        interval = f"95 % interval {realized.low:.1%}-{realized.high:.1%}"
        of = f"{realized.right:,} of {realized.labelled:,} labelled images"
        rows.append(("realized accuracy", f"{realized.value:.2%} ({interval}): {of}"))
    print_pairs(rows)
    statistics = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("statistic", "distance", "by chance", ""):
        statistics.add_column(column, justify="right" if column in ("distance", "by chance") else "left")
    for name, each in report.statistics.items():
        if each.distance is not None:
            figures = (f"{each.distance:.3f}", f"{each.chance:.3f}", "drifted" if each.drifted else "")
            statistics.add_row(name.replace("_", " "), *figures)
    if statistics.rows:
        stdout().print()
        stdout().print(statistics)
