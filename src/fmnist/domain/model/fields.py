"""Values that come from a file, by the names that a dataclass has for them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from fmnist.domain.model.errors import InvalidSetting


def known_fields(kind: type, called: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values, each of which has the name of an attribute of the dataclass `kind`.

    Raises:
        InvalidSetting: one has another name; the message says that `called`, such as `a recipe`, has none such.
    """
    names = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(str(name) for name in set(values) - names):
        raise InvalidSetting(f"{called} has no {', '.join(unknown)}: it has {', '.join(sorted(names))}")
    return dict(values)
