"""Checks values from a file, a run or a caller against the fields of a dataclass."""

import dataclasses
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, get_args

from fmnist.domain.model.errors import InvalidSetting


def known_fields(kind: type, called: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values, after a check that each name is a field of the dataclass `kind`.

    Raises:
        InvalidSetting: a name is not a field. The message calls the dataclass `called`, such as `a recipe`.
    """
    names = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(str(name) for name in set(values) - names):
        raise InvalidSetting(f"{called} has no field {', '.join(unknown)}: its fields are {', '.join(sorted(names))}")
    return dict(values)


def check(holds: object, name: str, expected: str, found: object) -> None:
    """Raise InvalidSetting unless `holds`. The message has the field's name, what was expected and what was found."""
    if not holds:
        raise InvalidSetting(f"{name} must be {expected}, found {found}")


def check_count(name: str, found: int, least: int = 1, most: int = 2**31 - 1) -> None:
    """Raise InvalidSetting unless the count is in [least, most]."""
    check(found >= least, name, f"at least {least}", found)
    check(found <= most, name, f"at most {most}", "more")  # the number may have thousands of digits


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise InvalidSetting unless the value is one of the choices."""
    check(value in choices, name, "one of " + ", ".join(choices), value)


def check_types(values: Any) -> None:
    """Check the types of numbers and flags from a preset file or a library caller. An int is accepted as a float.

    Raises:
        InvalidSetting: a field of the dataclass `values` is annotated with int, float or bool, and has another type.
    """
    for field in dataclasses.fields(values):
        value, kind = getattr(values, field.name), scalar_type(field.type)
        if kind is None or (value is None and type(None) in get_args(field.type)):
            continue
        is_whole = kind is float and type(value) is int
        check(
            not is_whole or abs(value) < 2**63, field.name, f"of type {kind.__name__}", "a number of more than 64 bits"
        )
        # NumPy's float64 is a float. A bool is an int, and is neither number.
        right = is_whole or (isinstance(value, float) if kind is float else type(value) is kind)
        check(right, field.name, f"of type {kind.__name__}", f"a {type(value).__name__}")


def parse_fields(kind: type, texts: Mapping[str, str]) -> dict[str, Any]:
    """Parse the scalar fields of the dataclass `kind` from text. Only an optional field may be absent.

    Raises:
        InvalidSetting: a field is missing, or its text does not parse.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.type) or (field.name not in texts and type(None) in get_args(field.type)):
            continue
        # A default for a missing field could train another network.
        check(
            field.name in texts,
            field.name,
            "a parameter of the run",
            "none (another version of fmnist may have written the run)",
        )
        text, scalar = texts[field.name], scalar_type(field.type) or str
        try:
            values[field.name] = {"True": True, "False": False}[text] if scalar is bool else scalar(text)
        except (KeyError, ValueError) as error:
            raise InvalidSetting(f"{field.name} must be of type {scalar.__name__}, found {text!r}") from error
    return values


def scalar_type(annotation: Any) -> type | None:
    """Return int, float or bool if the annotation is that type or its optional form, else None."""
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return next((kind for kind in (int, float, bool) if kind in kinds), None)
