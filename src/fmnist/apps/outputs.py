"""What commands have in common: examples in their help, `--json`, and a file for each output in a directory."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def examples(*commands: str) -> str:
    """Return the end of a command's help."""
    return "\n\n".join(["[bold]Examples[/]", *commands])


def check_output_dir(directory: Path | None) -> None:
    """Make and try the directory, before any work is done.

    Raises:
        InvalidSetting: it cannot be made or written.
    """
    if directory is not None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            raise InvalidSetting(f"--output-dir {directory} cannot be made or written: {error}") from error


def write_outputs(directory: Path | None, outputs: Mapping[str, str | bytes]) -> None:
    """Write the outputs, a file each, where there is a directory for them.

    Raises:
        StoreUnavailable: the files cannot be written.
    """
    if directory is not None:
        try:
            for name, value in outputs.items():
                # An argument that was no UTF-8 has surrogates, which no file can hold.
                data = value.encode(errors="backslashreplace") if isinstance(value, str) else value
                (directory / name).write_bytes(data)
        except OSError as error:
            raise StoreUnavailable(f"the outputs cannot be made or written: {error}") from error
