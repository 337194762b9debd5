"""What a WorkflowTemplate computes with: `{{...}}` in its texts, `when` and `depends`. Anything unknown is an error."""

import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any

_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r"""'[^']*'|"[^"]*"|==|!=|<=|>=|&&|\|\||[\w@/][\w.@/-]*|\S""")
# From what binds least to what binds most.
_LEVELS: tuple[dict[str, Callable[[Any, Any], Any]], ...] = (
    {"||": lambda a, b: _boolean(a) | _boolean(b)},
    {"&&": lambda a, b: _boolean(a) & _boolean(b)},
    {
        # As govaluate has it, true is not "true".
        "==": lambda a, b: type(a) is type(b) and a == b,
        "!=": lambda a, b: type(a) is not type(b) or a != b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    },
    {"+": lambda a, b: a + b},
)


class PipelineError(Exception):
    """The pipeline cannot be walked here, or is none; the message is meant for a person."""


class BadInput(PipelineError):
    """What was asked for is not there, or a value that was given cannot be taken."""


class Status(StrEnum):
    """How a task ended: as Argo calls it."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"  # by its `when`
    OMITTED = "Omitted"  # by its `depends`


def render(value: Any, scope: Mapping[str, str]) -> Any:
    """Fill in every `{{...}}` of a text, or of all texts of a list or mapping."""
    if isinstance(value, str):
        return _TAG.sub(lambda tag: _fill(tag[1].strip(), scope), value)
    if isinstance(value, list):
        return [render(item, scope) for item in value]
    if isinstance(value, dict):
        return {key: render(item, scope) for key, item in value.items()}
    return value


def holds(when: str, scope: Mapping[str, str]) -> bool:
    """Whether a task is to run, by its `when`: filled in first, and then every word stands for itself."""
    return _boolean(_compute(render(when, scope), lambda word: word))


def is_true(expression: str, scope: Mapping[str, str]) -> bool:
    """Whether an expression is true, its words being names of `scope`."""
    return _boolean(_compute(expression, partial(_look_up, scope)))


def fulfilled(depends: str, state: Callable[[str], Status]) -> bool:
    """Whether a task may begin, by its `depends`; `state` says how another one ended.

    A task alone stands for one that succeeded or was skipped, as Argo has it.
    """

    def name(word: str) -> bool:
        task, dot, status = word.partition(".")
        if dot and status not in set(Status):
            raise PipelineError(
                f"{word} is not understood in a depends: expected {task} and one of {', '.join(Status)}"
            )
        return state(task) in ({status} if dot else {Status.SUCCEEDED, Status.SKIPPED})

    return _boolean(_compute(depends, name))


def dependencies(depends: str) -> set[str]:
    """Return the tasks that a `depends` names."""
    found: set[str] = set()

    def note(task: str) -> Status:
        found.add(task)
        return Status.SUCCEEDED

    fulfilled(depends, note)
    return found


def _fill(tag: str, scope: Mapping[str, str]) -> str:
    if not tag.startswith("="):
        return _look_up(scope, tag)
    value = _compute(tag[1:], partial(_look_up, scope))
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _look_up(scope: Mapping[str, str], name: str) -> str:
    if name not in scope:
        raise PipelineError(f"{{{{{name}}}}} stands for nothing here; there are {', '.join(sorted(scope)) or 'none'}")
    return scope[name]


def _compute(text: str, name: Callable[[str], Any]) -> Any:
    """Compute an expression, every word of which is what `name` makes of it. Both sides of a choice are looked at."""
    try:
        return _Reader(text, name).read()
    except (TypeError, ValueError) as error:
        raise PipelineError(f"{text!r} is not understood: {error}") from error


class _Reader:
    """Reads an expression from left to right, and computes as it goes."""

    def __init__(self, text: str, name: Callable[[str], Any]) -> None:
        self._tokens = _TOKEN.findall(text)
        self._name = name

    def read(self) -> Any:
        """Compute all of it."""
        value = self._choice()
        if self._tokens:
            raise ValueError(f"{self._tokens[0]} is too much")
        return value

    def _choice(self) -> Any:
        value = self._binary(0)
        if not self._next("?"):
            return value
        yes = self._choice()
        self._expect(":")
        no = self._choice()
        return yes if _boolean(value) else no

    def _binary(self, level: int) -> Any:
        if level == len(_LEVELS):
            return self._term()
        value = self._binary(level + 1)
        while self._tokens and self._tokens[0] in _LEVELS[level]:
            compute = _LEVELS[level][self._tokens.pop(0)]
            value = compute(value, self._binary(level + 1))
        return value

    def _term(self) -> Any:
        if self._next("!"):
            return not _boolean(self._term())
        if self._next("("):
            value = self._choice()
            self._expect(")")
            return value
        word = self._tokens.pop(0) if self._tokens else "its end"
        if word[0] in "'\"":
            return word[1:-1]
        if not re.fullmatch(r"[\w@/][\w.@/-]*", word):
            raise ValueError(f"{word} stands where a value was expected")
        if self._next("("):
            arguments = [self._choice()]
            while self._next(","):
                arguments.append(self._choice())
            self._expect(")")
            if word not in _FUNCTIONS:
                raise ValueError(f"it knows no function {word}, only {', '.join(_FUNCTIONS)}")
            return _FUNCTIONS[word](*arguments)
        if word in {"true", "false"}:
            return word == "true"
        return float(word) if re.fullmatch(r"\d+(\.\d+)?", word) else self._name(word)

    def _next(self, token: str) -> bool:
        if self._tokens[:1] != [token]:
            return False
        self._tokens.pop(0)
        return True

    def _expect(self, token: str) -> None:
        if not self._next(token):
            raise ValueError(f"{token} is missing before {(self._tokens or ['its end'])[0]}")


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise PipelineError(f"{value!r} stands where true or false was expected")
    return value


def _jsonpath(document: str, path: str) -> str:
    if not re.fullmatch(r"\$\.\w+", path):
        raise PipelineError(f"jsonpath {path!r} is more than $.KEY, which is all that is known here")
    found = json.loads(document)
    if path[2:] not in found:
        raise ValueError(f"{path} is not in {document}")
    return str(found[path[2:]])


_FUNCTIONS: dict[str, Callable[..., Any]] = {"asInt": float, "jsonpath": _jsonpath, "toJson": json.dumps}
