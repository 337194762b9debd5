"""What a step leaves for a workflow engine: a directory with a file for each of its outputs."""

from collections.abc import Mapping
from pathlib import Path

from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable


def check_output_dir(directory: Path | None) -> None:
    """Make the directory, before any work is done.

    Raises:
        InvalidSetting: it cannot be made.
    """
    if directory is not None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidSetting(f"--output-dir {directory} cannot be made: {error}") from error


def write_outputs(directory: Path | None, outputs: Mapping[str, str]) -> None:
    """Write what a workflow engine reads, a file each, where there is a directory for it.

    Raises:
        StoreUnavailable: the files cannot be written.
    """
    if directory is not None:
        try:
            for name, value in outputs.items():
                (directory / name).write_text(value, encoding="utf-8")
        except OSError as error:
            raise StoreUnavailable(f"the outputs cannot be written: {error}") from error
