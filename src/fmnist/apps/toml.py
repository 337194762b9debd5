"""Reads TOML files named by users: recipes and policies."""

import tomllib
from pathlib import Path
from typing import Any

from fmnist.domain.model.files import read_file

_MOST_BYTES = 20_000  # a table of a dozen names takes 500


def read_toml(path: Path) -> dict[str, Any]:
    """Return the top-level table of the file.

    Raises:
        OSError: the file cannot be read, or is too long.
        ValueError: the file is not TOML.
    """
    try:
        return tomllib.loads(read_file(path, _MOST_BYTES).decode())
    except RecursionError as error:
        raise ValueError("values are nested too deeply") from error
