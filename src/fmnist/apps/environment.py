"""Puts the environment in order before it is read, by `settings.py` and by vendors: they shall find the same values."""

import os
import re
import sys
import warnings
from collections.abc import Set
from pathlib import Path

# What vendors read by themselves of the matters that are settings of ours.
_OF_VENDORS = re.compile(r"(AWS|DVC|MLFLOW|RAY)_.+|(ALL|HTTPS?|NO)_PROXY|(CURL|REQUESTS)_CA_BUNDLE|SSL_CERT_(DIR|FILE)")
_PATHS = re.compile(
    r"FMNIST_(HOME|RAW_DIR|PRESET)|(DVC|GITOPS)_REPO_URL|DVC_REMOTE_URL|RAY_TMPDIR|.+_CA_BUNDLE|SSL_CERT_(DIR|FILE)|.+_CERT_PATH"
)
_KEYS = {"FMNIST_API_KEY", "FMNIST_API_KEYS"}  # an empty one comes of a slip, and would leave a service open
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # the last are what Python makes of bytes that are no text


def normalize(ours: Set[str]) -> list[str]:
    r"""Strip what a file or a shell left around values, and expand `~`; return what is wrong with the rest.

    A file with the line ends of Windows leaves `\r` at the end of each value. `ours` are our variables, in capitals;
    one that holds nothing is removed, as is Ray's for its scratch directory.
    """
    problems = []
    for name, given in list(os.environ.items()):
        known = name.upper()
        if not (known in ours or _OF_VENDORS.fullmatch(known)):
            continue
        value = given.strip()
        # Ray has variables of its own that hold a whole document.
        if _NO_TEXT.search(value) and (known in ours or not known.startswith("RAY_")):
            problems.append(f"{name}: its value holds a line break, another control character, or what is no UTF-8")
        if value.startswith("~") and _PATHS.fullmatch(known):
            try:
                value = _expanded(value)
            except RuntimeError:
                problems.append(f"{name}: no home directory is known for its ~; give an absolute path")
        if known in _KEYS and not value:
            problems.append(f"{name}: it holds no key: give one, or unset it to do without")
        if (known in ours or known == "RAY_TMPDIR") and not value:
            del os.environ[name]
        elif value != given:
            os.environ[name] = value
    return problems


def drop_odd_widths() -> None:
    """Have the width of the terminal found out where a variable gives none: Rich and Typer take it for a number."""
    for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        width = os.environ.get(name, "1")
        if not (width.isascii() and width.isdecimal() and int(width)):
            del os.environ[name]


def spare_warnings() -> None:
    """Have no warning end this process, or one that it starts, where `PYTHONWARNINGS` or `-W` makes errors of them.

    What vendors warn of is theirs to mend. What else was asked for stays.
    """
    if "PYTHONWARNINGS" in os.environ:
        os.environ["PYTHONWARNINGS"] = ",".join(_without_errors(os.environ["PYTHONWARNINGS"].split(",")))
    asked = _without_errors(sys.warnoptions)
    if asked == sys.warnoptions:
        return
    sys.warnoptions[:] = asked
    warnings.filters[:] = [entry for entry in warnings.filters if entry[0] != "error"]  # type: ignore[index]
    warnings.simplefilter("default", append=True)  # as it is without; it makes the change known


def _without_errors(options: list[str]) -> list[str]:
    return [option for option in options if not "error".startswith(option.partition(":")[0].strip() or "-")]


def _expanded(path: str) -> str:
    if os.environ.get("HOME") == "":
        raise RuntimeError  # it would be taken for /
    return str(Path(path).expanduser())
