"""Normalizes environment variables before `settings.py` and vendors read them, so that both see the same values."""

import os
import re
import sys
import warnings
from collections.abc import Set
from pathlib import Path

# Variables that vendors read by themselves, and that matter for our settings too.
_OF_VENDORS = re.compile(r"(AWS|DVC|MLFLOW|RAY)_.+|(ALL|HTTPS?|NO)_PROXY|(CURL|REQUESTS)_CA_BUNDLE|SSL_CERT_(DIR|FILE)")
_PATHS = re.compile(
    r"FEEDBACK_PLACE|FMNIST_(HOME|RAW_DIR|PRESET)|(DVC|GITOPS)_REPO_URL|DVC_REMOTE_URL|RAY_TMPDIR|.+_CA_BUNDLE|SSL_CERT_(DIR|FILE)|.+_CERT_PATH"
)
_KEYS = {"FMNIST_API_KEY", "FMNIST_API_KEYS"}  # an empty one is a mistake, and would leave a service open
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # the last range: surrogates, for bytes that are not UTF-8


def normalize(ours: Set[str]) -> list[str]:
    r"""Strip whitespace around values and expand `~`; return a message for each value that is still unusable.

    A file with Windows line ends leaves `\r` at the end of each value. `ours` holds the names of our variables, in
    capitals. Empty variables of ours are removed, and an empty RAY_TMPDIR.
    """
    problems = []
    for name, given in list(os.environ.items()):
        known = name.upper()
        if not (known in ours or _OF_VENDORS.fullmatch(known)):
            continue
        value = given.strip()
        # Some of Ray's own variables hold a whole document, with line breaks.
        if _NO_TEXT.search(value) and (known in ours or not known.startswith("RAY_")):
            problems.append(f"{name}: its value has a line break, a control character, or bytes that are not UTF-8")
        if value.startswith("~") and _PATHS.fullmatch(known):
            try:
                value = _expanded(value)
            except RuntimeError:
                problems.append(f"{name}: the home directory for ~ is unknown; give an absolute path")
        if known in _KEYS and not value:
            problems.append(f"{name}: it holds no key: give one, or unset it to use none")
        if (known in ours or known == "RAY_TMPDIR") and not value:
            del os.environ[name]
        elif value != given:
            os.environ[name] = value
    return problems


def drop_odd_widths() -> None:
    """Remove variables of the terminal's size that are not positive numbers: Rich and Typer would fail on them."""
    for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        width = os.environ.get(name, "1")
        if not (width.isascii() and width.isdecimal() and int(width)):
            del os.environ[name]


def spare_warnings() -> None:
    """Undo `error` in `PYTHONWARNINGS` and `-W`, here and in child processes: a vendor's warning must not end them.

    Other warning options stay.
    """
    if "PYTHONWARNINGS" in os.environ:
        os.environ["PYTHONWARNINGS"] = ",".join(_without_errors(os.environ["PYTHONWARNINGS"].split(",")))
    asked = _without_errors(sys.warnoptions)
    if asked == sys.warnoptions:
        return
    sys.warnoptions[:] = asked
    warnings.filters[:] = [entry for entry in warnings.filters if entry[0] != "error"]  # type: ignore[index]
    warnings.simplefilter("default", append=True)  # the default; it also tells Python that the filters changed


def _without_errors(options: list[str]) -> list[str]:
    return [option for option in options if not "error".startswith(option.partition(":")[0].strip() or "-")]


def _expanded(path: str) -> str:
    if os.environ.get("HOME") == "":
        raise RuntimeError  # `~` would become `/`
    return str(Path(path).expanduser())
