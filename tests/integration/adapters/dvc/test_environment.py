"""The user's environment variables for DVC and TLS do not affect how a registry is read."""

import os
import sys
from pathlib import Path

import pytest
from dvc.config import Config
from dvc.dirs import site_cache_dir

from fmnist.adapters.dvc.config import dvc_variables
from fmnist.adapters.environment import exported
from fmnist.adapters.git.command import run


@pytest.mark.parametrize("variable", ["XDG_CONFIG_HOME", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"])
def test_dvc_settings_of_the_user_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str) -> None:
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", "/proc/odd")
    for folder in (tmp_path, tmp_path / "dvc"):
        folder.mkdir(exist_ok=True)
        (folder / "config").write_text("[core]\n    no_scm = true\n")
    assert Config.from_cwd(validate=False)["core"].get("no_scm")
    before = dict(os.environ)
    with dvc_variables() as variables, exported(variables):
        assert not Config.from_cwd(validate=False)["core"].get("no_scm")
        Path(site_cache_dir()).mkdir()
    assert dict(os.environ) == before


@pytest.mark.parametrize(("file", "folder"), [("/absent", "/absent"), ("/etc/passwd", "/absent")])
def test_certificates_that_cannot_be_read_do_not_keep_dvc_from_starting(file: str, folder: str) -> None:
    code = "import fmnist.adapters.dvc.registry, os; print(os.environ['SSL_CERT_FILE'], os.environ['SSL_CERT_DIR'])"
    shown = run([sys.executable, "-c", code], env={"SSL_CERT_FILE": file, "SSL_CERT_DIR": folder})
    assert shown.split() == [file, folder]
