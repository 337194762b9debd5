"""`fmnist data`: builds, lists, pins, shows, verifies and audits versions of the data."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from fmnist.apps import audit
from fmnist.apps.outputs import AsJson, check_output_dir, examples, print_json, write_report
from fmnist.apps.process import begin
from fmnist.apps.terminal import stdout
from fmnist.domain.model.data.metadata import check_split, split_sizes
from fmnist.domain.model.errors import CorruptData
from fmnist.domain.model.text import printable

if TYPE_CHECKING:
    from fmnist.apps.containers.data import DataContainer
    from fmnist.domain.model.data.dataset import DatasetVersion, SplitFile

logger = logging.getLogger(__name__)

app = typer.Typer(help="Build, list, resolve, show, verify and audit data versions.", no_args_is_help=True)
stage = typer.Typer(help="Steps of the data registry's pipeline, run by its dvc.yaml.", no_args_is_help=True)
app.add_typer(stage, name="stage", hidden=True)
app.command("audit", epilog=audit.EXAMPLES)(audit.audit)

_MOST_FILES = 1000
_Files = Annotated[int, typer.Option(min=1, max=_MOST_FILES)]
_Version = Annotated[str, typer.Argument(help="Data version, such as 1.0.0; latest is the newest version.")]


@app.command(
    epilog=examples(
        "fmnist data build",
        "fmnist data build --version 1.1.0 --source ~/Downloads/fashion-mnist",
        "fmnist data build --version 1.2.0 --files 4",
    )
)
def build(
    version: Annotated[
        str, typer.Option(help="Number X.Y.Z of the new version. The Git tag is fashion-mnist-vX.Y.Z.")
    ] = "1.0.0",
    source: Annotated[
        Path | None,
        typer.Option(
            help="Directory with the four official .gz files, or with Kaggle's or Hugging Face's copy of them.  "
            "\\[default: FMNIST_RAW_DIR, else a download]"
        ),
    ] = None,
    files: Annotated[
        int | None,
        typer.Option(
            min=1, max=_MOST_FILES, help="Number of files of the train split, of almost equal size.  \\[default: 1]"
        ),
    ] = None,
) -> None:
    """Build a data version from the official files or a copy, in the data registry (DVC_REPO_URL or local)."""
    container = _container()
    settings = container.settings()
    logger.info("state directory %s", settings.fmnist_home)
    built = container.builder(source=source).build(version, files)
    typer.echo(f"{built.tag} {'built in' if built.new else 'is already in'} {built.registry}")


@app.command(epilog=examples("fmnist data versions", "fmnist data versions --json"))
def versions(*, as_json: AsJson = False) -> None:
    """List the data versions, newest first."""
    found = _container().data_registry().versions()
    if as_json:
        print_json(found)
    elif found:
        typer.echo("\n".join(found))
    else:
        typer.echo("no data version yet: run fmnist data build", err=True)


@app.command(epilog=examples("fmnist data resolve", "fmnist data resolve latest --output-dir outputs"))
def resolve(
    version: _Version = "latest",
    output_dir: Annotated[
        Path | None,
        typer.Option(
            help="Directory for the output files: data_version, data_commit, data_digest, message and report.json."
        ),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the tag, the commit and the content digest of a data version."""
    check_output_dir(output_dir)
    dataset: DatasetVersion = _container().data_registry().resolve(version)
    message = f"{dataset.version} at commit {dataset.commit[:12]} of {dataset.source}"
    outputs = {
        "data_version": dataset.version,
        "data_commit": dataset.commit,
        "data_digest": dataset.digest,
        "message": message,
    }
    write_report(output_dir, outputs, outputs)
    if as_json:
        print_json(outputs)
    else:
        typer.echo(message)


@app.command(epilog=examples("fmnist data show", "fmnist data show 1.0.0 --json"))
def show(version: _Version = "latest", *, as_json: AsJson = False) -> None:
    """Show the content and the location of a data version."""
    dataset: DatasetVersion = _container().data_registry().resolve(version)
    normalization, images = dataset.normalization, split_sizes(dataset.metadata)  # older versions may lack numbers
    if as_json:
        print_json(
            {
                "version": dataset.version,
                "commit": dataset.commit,
                "source": dataset.source,
                "digest": dataset.digest,
                "splits": {
                    name: {"images": images.get(name, "?"), **_listed(files)} for name, files in dataset.splits.items()
                },
                "normalization": {"mean": normalization.mean, "std": normalization.std},
                "class_names": dataset.class_names,
            }
        )
        return
    typer.echo(printable(f"{dataset.version}  commit {dataset.commit[:12]} of {dataset.source}"))
    typer.echo(f"pixels: mean {normalization.mean:.4f}, standard deviation {normalization.std:.4f}")
    typer.echo(printable(f"classes: {', '.join(dataset.class_names)}"))
    _print_table(
        ("split", "images", "md5", "uri"),
        [
            (name, "" if place else images.get(name, "?"), file.md5, file.uri)
            for name, files in dataset.splits.items()
            for place, file in enumerate(files)
        ],
    )


@app.command(epilog=examples("fmnist data verify", "fmnist data verify 1.0.0"))
def verify(version: _Version = "latest") -> None:
    """Read every split; compare the bytes with the recorded hash, and the image counts with the metadata."""
    registry = _container().data_registry()
    dataset: DatasetVersion = registry.resolve(version)
    failures = []
    for split in dataset.splits:
        try:
            data = registry.read(dataset, split)
            check_split(dataset.metadata, split, data)
        except CorruptData as error:
            failures.append(str(error))
            typer.echo(f"{split}: DAMAGED")
        else:
            files = dataset.files(split)
            hashes = f"md5 {files[0].md5}" if len(files) == 1 else f"md5 of {len(files)} files"
            typer.echo(f"{split}: {len(data)} images, {hashes}, as expected")
    if failures:
        raise CorruptData(f"{dataset.version} is damaged: {'; '.join(failures)}")


@stage.command()
def download() -> None:
    """Copy the official files into this clone of a data registry."""
    _container().download(Path.cwd())


@stage.command()
def process(files: _Files = 1) -> None:
    """Write the three splits as Parquet into this clone of a data registry, as params.yaml there says."""
    _container().process(Path.cwd(), files)


@stage.command()
def analyze(files: _Files = 1) -> None:
    """Write metadata.json of the splits into this clone of a data registry."""
    _container().analyze(Path.cwd(), files)


def _listed(files: "Sequence[SplitFile]") -> dict[str, object]:
    """Return a split's file for JSON, or the list of its files if there are several."""
    listed = [{"md5": file.md5, "uri": file.uri} for file in files]
    return {"files": listed} if len(listed) > 1 else {**listed[0]}


def _container() -> "DataContainer":
    settings = begin()
    from fmnist.apps.containers.data import DataContainer

    return DataContainer(settings=settings)


def _print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on a terminal, and tab-separated lines anywhere else."""
    if not stdout().is_terminal:
        for row in (header, *rows):
            typer.echo("\t".join(map(str, row)))
        return
    table = Table()
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    stdout().print(table)
