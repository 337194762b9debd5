"""The Dockerfile as tests read it: its stages, and what an image of one holds and says."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.utils.build import exclude_paths

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Stage:
    """A stage: what it builds on, and its instructions with their arguments."""

    base: str
    instructions: tuple[tuple[str, str], ...]

    def all(self, keyword: str) -> list[str]:
        return [arguments for name, arguments in self.instructions if name == keyword]

    def last(self, keyword: str) -> str:
        return self.all(keyword)[-1]


def stages() -> dict[str, Stage]:
    """Every stage by its name, in the order of the file."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line.split(maxsplit=1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    found: dict[str, Stage] = {}
    for keyword, arguments in lines:
        if keyword == "FROM":
            base, _, name = arguments.partition(" AS ")
            found[name] = Stage(base, ())
        else:
            name = list(found)[-1]
            instruction = (keyword, " ".join(arguments.split()))
            found[name] = Stage(found[name].base, (*found[name].instructions, instruction))
    return found


def lineage(name: str) -> Iterator[Stage]:
    """The stage and all that it builds on, whose layers are in its image."""
    known = stages()
    while name in known:
        yield known[name]
        name = known[name].base


def variables(name: str) -> dict[str, str]:
    """The environment that an image of this stage has, with build arguments left out and no PATH but its own."""
    found: dict[str, str] = {}
    for stage in reversed(list(lineage(name))):
        for line in stage.all("ENV"):
            found |= dict(re.findall(r"(\w+)=(\S+)", line))
    return {variable: value.replace(":$PATH", "") for variable, value in found.items() if not value.startswith("$")}


def command(name: str) -> list[str]:
    """What an image of this stage runs."""
    given: Any = json.loads(stages()[name].last("CMD"))
    return list(given)


def health_check(name: str) -> list[str]:
    """What asks a container of this stage how it is."""
    given: Any = json.loads(stages()[name].last("HEALTHCHECK").partition(" CMD ")[2])
    return list(given)


def context(root: Path) -> set[str]:
    """The files below `root` that Docker would be sent, by Docker's own reading of .dockerignore."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return {path for path in exclude_paths(str(root), patterns) if (root / path).is_file()}
