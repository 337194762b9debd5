"""Makes the virtual environment of an image, in the steps that the Dockerfile keeps in layers of their own.

    python install.py dependencies EXTRA VENV    what an extra of pyproject.toml needs, and not the package itself
    python install.py wheel WHEELS               the package
    python install.py package WHEELS VENV        the package, into the environment

The dependencies are gigabytes that seldom change, the package is small and changes with every commit. The environment
holds no pip. It reads the project of the working directory, and needs nothing but Python and pip.
"""

import argparse
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

CONSTRAINTS = "constraints.txt"


def requirements(project: Path, extra: str) -> list[str]:
    """Return all that an extra asks for, with what the package always needs; extras that name extras are followed.

    Raises:
        KeyError: pyproject.toml has no such extra.
    """
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: list[str] = list(table.get("dependencies", ()))
    itself = re.compile(rf"{re.escape(table['name'])}\[([^]]+)]")
    waiting, seen = [extra], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for requirement in table["optional-dependencies"][name]:
            if others := itself.fullmatch(requirement):
                waiting += [other.strip() for other in others[1].split(",")]
            else:
                found.append(requirement)
    return list(dict.fromkeys(found))


def install_dependencies(extra: str, venv: Path) -> None:
    """Make the environment `venv`, and install into it what `extra` asks for, in the versions that are locked.

    `TORCH_INDEX` of the environment says where else to look for torch, as for `make setup`.
    """
    _run(sys.executable, "-m", "venv", "--without-pip", str(venv))
    if index := os.environ.get("TORCH_INDEX"):
        os.environ["PIP_EXTRA_INDEX_URL"] = index  # it may hold a password, and others can read an argument list
    _pip_install(venv, "--constraint", CONSTRAINTS, *requirements(Path(), extra))


def build_wheel(wheels: Path) -> None:
    """Build the package of the working directory into the directory `wheels`."""
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), ".")


def install_package(wheels: Path, venv: Path) -> None:
    """Install the one wheel of `wheels`, whose dependencies are there."""
    (wheel,) = wheels.glob("*.whl")
    _pip_install(venv, "--no-deps", "--no-index", str(wheel))


def _pip_install(venv: Path, *arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python")]
    _run(*pip, "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def main() -> None:
    """Run the step that the command line names."""
    parser = argparse.ArgumentParser(description="Make the virtual environment of an image.")
    steps = parser.add_subparsers(dest="step", required=True)
    dependencies = steps.add_parser("dependencies")
    dependencies.add_argument("extra")
    dependencies.add_argument("venv", type=Path)
    steps.add_parser("wheel").add_argument("wheels", type=Path)
    package = steps.add_parser("package")
    package.add_argument("wheels", type=Path)
    package.add_argument("venv", type=Path)
    given = parser.parse_args()
    match given.step:
        case "dependencies":
            install_dependencies(given.extra, given.venv)
        case "wheel":
            build_wheel(given.wheels)
        case _:
            install_package(given.wheels, given.venv)


if __name__ == "__main__":
    main()
