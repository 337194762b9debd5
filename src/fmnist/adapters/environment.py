"""Sets environment variables that vendors read: permanent defaults, and temporary values."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


def set_defaults(variables: Mapping[str, str]) -> None:
    """Set the variables that are not set yet."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)


@contextmanager
def exported(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process inside of the block, and restore them afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
