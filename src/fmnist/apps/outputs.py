"""What a command leaves in a directory, for a workflow engine or a person: a file for each of its outputs."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable


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
                (directory / name).write_bytes(value.encode() if isinstance(value, str) else value)
        except OSError as error:
            raise StoreUnavailable(f"the outputs cannot be written: {error}") from error
