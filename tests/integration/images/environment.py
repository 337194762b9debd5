"""An environment that holds what one extra asks for and nothing else, out of what the tests' own environment has.

pip would need minutes for gigabytes that lie on this disk already; a link of each distribution needs seconds. What
is linked is what the distributions' metadata ask for, which is what pip goes by. `make soak` has pip do it.
"""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def link_environment(venv: Path, requirements: Iterable[str]) -> None:
    """Make the environment `venv` of what these requirements lead to, without pip.

    Raises:
        PackageNotFoundError: one of them is not in the environment that this runs in.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (site,) = venv.glob("lib/python3.*/site-packages")
    for found in _closure(requirements):
        files = found.files or ()
        # A whole package by one link, unless others have files in it, too.
        shared = {name for name in {file.parts[0] for file in files} if len(_owners()[name]) > 1}
        for place in {file if file.parts[0] in shared else file.parts[0] for file in files if file.parts[0] != ".."}:
            _link(site / place, Path(str(found.locate_file(place))))
        for script in files:
            if script.parts[0] == ".." and script.parent.name == "bin":
                _copy_script(Path(str(found.locate_file(script))), venv)


def _closure(requirements: Iterable[str]) -> list[Distribution]:
    waiting, found = [Requirement(each) for each in requirements], dict[str, Distribution]()
    seen = set[tuple[str, frozenset[str]]]()
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[name] = distribution(name)
        for line in found[name].requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                waiting.append(needed)
    return list(found.values())


@cache
def _owners() -> dict[str, set[str]]:
    """Which distributions of this environment have files below each name of site-packages."""
    owners = defaultdict[str, set[str]](set)
    for each in distributions():
        owner = canonicalize_name(each.name)
        for top in {file.parts[0] for file in each.files or ()}:
            owners[top].add(owner)
    return owners


def _link(link: Path, target: Path) -> None:
    # A list of files names some that pip never wrote, and some that another list names, too.
    if target.exists() and not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def _copy_script(script: Path, venv: Path) -> None:
    content = script.read_bytes()
    first, _, rest = content.partition(b"\n")
    ours = first.startswith(b"#!") and b"python" in first
    copy = venv / "bin" / script.name
    copy.write_bytes(b"#!" + str(venv / "bin" / "python").encode() + b"\n" + rest if ours else content)
    copy.chmod(0o755)
