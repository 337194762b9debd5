"""Shared by the commands: examples in their help, `--json`, and one file per output in a directory."""

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def examples(*commands: str) -> str:
    """Return the examples at the end of a command's help."""
    return "\n\n".join(["[bold]Examples[/]", *commands])


def print_json(value: object) -> None:
    """Print a value as JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def check_output_dir(directory: Path | None, called: str = "--output-dir") -> None:
    """Create the directory and test writing to it, before any work starts. A message calls it `called`.

    Raises:
        InvalidSetting: it cannot be created or written.
    """
    if directory is not None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            raise InvalidSetting(f"{called} {directory} cannot be created or written: {error}") from error


def write_report(directory: Path | None, outputs: Mapping[str, str], document: Mapping[str, object]) -> None:
    """Write the outputs, and the document as `report.json`. Raises as `write_outputs`."""
    write_outputs(directory, {**outputs, "report.json": json.dumps(document, indent=2) + "\n"})


def write_outputs(directory: Path | None, outputs: Mapping[str, str | bytes]) -> None:
    """Write one file per output, if there is a directory, which is made if it is absent.

    Raises:
        StoreUnavailable: the files cannot be written.
    """
    if directory is not None:
        try:
            directory.mkdir(exist_ok=True)
            for name, value in outputs.items():
                # An argument that was not UTF-8 has surrogates, which cannot be encoded.
                data = value.encode(errors="backslashreplace") if isinstance(value, str) else value
                (directory / name).write_bytes(data)
        except OSError as error:
            raise StoreUnavailable(f"the outputs cannot be written to {directory}: {error}") from error
