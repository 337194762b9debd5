"""`python -m fmnist`: its version, and how it ends if it cannot be loaded."""

import importlib.abc
import importlib.machinery
import runpy
import sys
from collections.abc import Sequence
from types import ModuleType

import pytest

import fmnist
from fmnist.__main__ import main


class Obstacle(importlib.abc.MetaPathFinder):
    """Makes the import of the command line fail."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "fmnist.apps.cli":
            raise self._error
        return None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModuleNotFoundError("", name="typer"), "the fmnist command needs typer: pip install 'fmnist[all]'"),
        (KeyboardInterrupt(), 130),
    ],
)
def test_command_that_cannot_be_loaded_ends_in_order(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: object
) -> None:
    monkeypatch.delitem(sys.modules, "fmnist.apps.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Obstacle(error), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == code


def test_module_prints_the_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "fmnist.__main__")  # runpy warns of a module that was imported before
    monkeypatch.setattr(sys, "argv", ["fmnist", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("fmnist", run_name="__main__")
    assert (ended.value.code, capsys.readouterr().out) == (0, f"{fmnist.__version__}\n")
