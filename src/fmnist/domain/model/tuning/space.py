"""The search space: the fields of a recipe that a search may change, and the values that it may try."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.validation import check, scalar_type

Value = bool | int | float | str

# Trials must have equal numbers of epochs, and the other fields say how to compute, not what.
SEARCHED = ("lr", "batch_size", "weight_decay", "label_smoothing", "flip", "shift", "erase", "architecture")
_NUMBERS: Mapping[str, type[int] | type[float]] = {
    field.name: kind
    for field in dataclasses.fields(Recipe)
    if field.name in SEARCHED and (kind := scalar_type(field.type)) in (int, float)
}
_FORMS = "[a, b, ...] or {low = a, high = b, log = true or false}"


@dataclass(frozen=True, slots=True)
class Range:
    """All numbers in [low, high], or all whole numbers if both are an int.

    With `log`, each order of magnitude is equally likely.
    """

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        """Return the range as text for people."""
        return f"{self.low:g} to {self.high:g}{', in orders of magnitude' if self.log else ''}"

    def nearest(self, value: float) -> float:
        """Return a number of the range near `value`, with three digits where the range allows it."""
        return value if isinstance(value, int) else min(max(float(f"{value:.3g}"), self.low), self.high)

    def holding(self, value: Any) -> "Range":
        """Return the range, extended to `value`."""
        value = type(self.low)(value)
        # The logarithm of 0 is no number.
        return Range(min(self.low, value), max(self.high, value), self.log and value > 0)


@dataclass(frozen=True, slots=True)
class Choices:
    """Some values, without an order."""

    values: tuple[Value, ...]

    def __str__(self) -> str:
        """Return the choices as text for people."""
        return ", ".join(map(str, self.values))

    def nearest(self, value: Value) -> Value:
        """Return the value: it is one of the choices."""
        return value

    def holding(self, value: Value) -> "Choices":
        """Return the choices, with `value` among them."""
        return self if value in self.values else Choices((*self.values, value))


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """Possible values by the name of a recipe's field. Other fields keep the value of the starting recipe."""

    dimensions: Mapping[str, Range | Choices]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Make a space from the values of a TOML file.

        Raises:
            InvalidSetting: a name cannot be searched, or a range or choice is not allowed. The message has the name.
        """
        check(values, "a search space", f"one or more of {', '.join(SEARCHED)}", "none")
        if unknown := [name for name in values if name not in SEARCHED]:
            raise InvalidSetting(f"{', '.join(unknown)} cannot be searched: expected some of {', '.join(SEARCHED)}")
        return cls({name: _dimension(name, value) for name, value in values.items()})

    def holding(self, start: Recipe) -> Self:
        """Return the space, extended to the values of `start`. The starting recipe is the first trial."""
        return type(self)({name: one.holding(getattr(start, name)) for name, one in self.dimensions.items()})

    def values_of(self, recipe: Recipe) -> dict[str, Value]:
        """Return the recipe's values of the fields that are searched."""
        return {name: getattr(recipe, name) for name in self.dimensions}

    def recipe(self, start: Recipe, values: Mapping[str, Value]) -> Recipe:
        """Return `start` with these values, rounded to three digits. Numbers of a recipe are for people, too."""
        return start.override(**{name: self.dimensions[name].nearest(value) for name, value in values.items()})  # type: ignore[arg-type]  # a range has numbers

    def __str__(self) -> str:
        """Return the space as text. Equal spaces have equal texts."""
        return json.dumps({name: dataclasses.asdict(one) for name, one in sorted(self.dimensions.items())})


def _dimension(name: str, given: Any) -> Range | Choices:
    if isinstance(given, list):
        differ = len(given) > 1 and all(given.count(value) == 1 for value in given)
        check(differ, name, "two or more different values", given)
        for value in given:
            _check_value(name, value)
        return Choices(tuple(given))
    check(isinstance(given, dict), name, _FORMS, repr(given))
    check(name in _NUMBERS, name, "a list of values, because it is not a number", given)
    check({"low", "high"} <= {*given} <= {"low", "high", "log"}, name, _FORMS, given)
    low, high, log = given["low"], given["high"], given.get("log", False)
    for value in (low, high):
        _check_value(name, value)
    check(type(log) is bool, name, "with log = true or log = false", given)
    check(low < high, name, "a range whose low is below its high", given)
    check(not log or low > 0, name, "a range whose low is above 0, because log is true", given)
    kind = _NUMBERS[name]
    return Range(kind(low), kind(high), log)


def _check_value(name: str, value: Any) -> None:
    """Check a value as a recipe does. A recipe does not check the types of its texts."""
    check(isinstance(value, str) is (name == "architecture"), name, "of the field's type", repr(value))
    Recipe(**{name: value})
