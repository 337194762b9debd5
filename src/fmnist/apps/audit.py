"""`fmnist data audit`: looks for duplicates, doubtful labels and outliers in a data version, and never changes it."""

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from fmnist.apps.outputs import AsJson, check_output_dir, examples, print_json, write_outputs
from fmnist.apps.process import begin
from fmnist.apps.terminal import print_pairs, stderr, stdout

if TYPE_CHECKING:
    from fmnist.domain.model.audit.result import DataAudit

EXAMPLES = examples("fmnist data audit", "fmnist data audit 1.0.0 --json")


def audit(
    version: Annotated[
        str, typer.Argument(help="Data version, such as 1.0.0; latest is the newest version.")
    ] = "latest",
    *,
    as_json: AsJson = False,
) -> None:
    """Look for duplicates, doubtful labels and outliers in a data version.

    It trains four models in this process, each on three quarters of the images of all splits. The same command
    continues an interrupted audit. The report and a list of rows go to FMNIST_HOME/audits and to a run. The
    data version is not changed.
    """
    settings = begin()
    check_output_dir(settings.audits, called="the folder of audits")
    console, begun = stderr(), set[str]()
    with console.status("loading torch and mlflow") as status, redirect_stdout(sys.stderr):
        from fmnist.apps.containers.audit import AuditContainer

        def show(step: str, share: float) -> None:
            if step not in begun:
                console.print(step)
            begun.add(step)
            status.update(f"{step} {share:.0%}")

        found: DataAudit
        found, files = AuditContainer(settings=settings).auditing().audit(version, show)
    directory = settings.audits / found.dataset.version
    write_outputs(directory, files)
    document = found.document()
    if as_json:
        short = ("data_version", "digest", "counts", "out_of_fold_accuracy", "test_accuracy", "differences")
        print_json({name: document[name] for name in short} | {"written_to": str(directory)})
        return
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in document["counts"].items()]
    for part, (count, accuracy, (low, high)) in document["test_accuracy"].items():
        rows.append((f"test, {part}", f"{accuracy:.2%} of {count:,} images (95 % interval {low:.1%}-{high:.1%})"))
    print_pairs([*rows, ("report", str(directory / "report.html"))])
    stdout().print("This is the judgement of models. No person has checked it.")
