"""What an import loads and needs, in a fresh interpreter. import-linter checks which layer may import which."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "ray", "mlflow", "dvc", "lightning", "pydantic", "dependency_injector")

# The first import finder, which allows only the standard library, numpy and this package.
NUMPY_ALONE = """
import sys

class NumpyAlone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "numpy", "fmnist"}:
            raise ModuleNotFoundError(f"{name} is more than numpy", name=name)

sys.meta_path.insert(0, NumpyAlone())
"""
IMPORT_ALL_OF = """
import importlib, pkgutil, sys

for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        importlib.import_module(module.name)
"""


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def imported(*arguments: str) -> set[str]:
    """Run Python and return the top-level packages that it imported, from its `-X importtime` output."""
    result = python("-X", "importtime", *arguments)
    assert result.returncode == 0, result.stderr
    accounts = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    return {account.rpartition("|")[2].strip().partition(".")[0] for account in accounts}


def test_importing_the_library_imports_no_vendor() -> None:
    packages = imported("-c", "import fmnist; dir(fmnist)")
    assert "fmnist" in packages
    assert not packages & {*HEAVY, "rich", "typer"}


def test_asking_for_help_imports_no_heavy_vendor() -> None:
    packages = imported("-m", "fmnist", "--help")
    assert "typer" in packages
    assert not packages & set(HEAVY)


@pytest.mark.parametrize("package", ["fmnist.domain", "fmnist.ports", "fmnist.adapters.memory"])
def test_the_core_and_its_fakes_need_only_numpy(package: str) -> None:
    result = python("-c", NUMPY_ALONE + IMPORT_ALL_OF, package)
    assert result.returncode == 0, result.stderr


def test_the_public_test_helpers_need_only_numpy_and_pytest() -> None:
    assert python("-c", NUMPY_ALONE + "import fmnist.testing").returncode == 0
    result = python("-c", "import pytest\n" + NUMPY_ALONE + IMPORT_ALL_OF, "fmnist.testing")
    assert result.returncode == 0, result.stderr


def test_the_checks_above_would_fail_on_a_vendor(tmp_path: Path) -> None:
    package = tmp_path / "vendored"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "deep.py").write_text("import rich")
    script = NUMPY_ALONE.replace('"fmnist"', '"vendored"') + IMPORT_ALL_OF
    result = python("-c", script, "vendored", PYTHONPATH=str(tmp_path))
    assert result.returncode == 1
    assert "rich is more than numpy" in result.stderr


def test_importing_the_library_writes_nothing(tmp_path: Path) -> None:
    script = "import os, fmnist, fmnist.domain.services.training.run; assert not os.listdir('.'), os.listdir('.')"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
