""".env.minikube gives a shell the same settings as the minikube overlay gives pods, and contains no secret."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from fmnist.apps.settings import Settings

ROOT = Path(__file__).parents[2]
FILE = ROOT / ".env.minikube"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
# A fake kubectl, which prints the requested key of the Secret.
KUBECTL = r"""#!/bin/sh
echo "$*" | sed -nE 's/^--namespace fmnist get secret fmnist-s3 --output go.*data\.(\w+) \| base64decode.*/\1/p'
"""


@pytest.fixture
def sourced(tmp_path: Path) -> dict[str, str]:
    """Return the variables of a shell that sources the file, with a kubectl that knows the Secret."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euc", f"set -a && source {FILE} && set +a && env -0"],
        env={"PATH": f"{tmp_path}:{os.defpath}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    lines = [line.partition("=") for line in done.stdout.split("\0") if line]
    return {name: value for name, _, value in lines if name not in {"PATH", "PWD", "SHLVL", "_"}}


def pods() -> dict[str, str]:
    """Return the pods' ConfigMap on minikube."""
    yaml, found = YAML(typ="safe"), dict[str, Any]()
    for path in ("deploy/base/environment.yaml", "deploy/overlays/minikube/environment.yaml"):
        found |= yaml.load(ROOT / path)["data"]
    return found


def test_a_shell_gets_the_addresses_of_pods_through_forwarded_ports(sourced: dict[str, str]) -> None:
    forwards = re.findall(r"--namespace (\S+) port-forward service/(\S+) (\d+):(\d+)", FILE.read_text(encoding="utf-8"))
    inside = {local: f"{service}.{namespace}.svc.cluster.local:{port}" for namespace, service, local, port in forwards}
    told = pods()
    for name in set(sourced) - set(KEYS):
        value = sourced[name]
        for local, address in inside.items():
            value = value.replace(f"127.0.0.1:{local}", address)
        assert value.removeprefix("http://") == told[name].removeprefix("http://"), name
    with_address = {name for name, value in told.items() if ".svc.cluster.local" in value}
    assert with_address <= set(sourced)


def test_keys_are_read_from_the_cluster(sourced: dict[str, str]) -> None:
    assert {name: sourced[name] for name in KEYS} == {name: name for name in KEYS}


def test_every_variable_is_a_setting(sourced: dict[str, str]) -> None:
    assert {name.lower() for name in sourced} <= set(Settings.model_fields)


def test_it_is_not_mistaken_for_the_local_stack(sourced: dict[str, str]) -> None:
    stack = (ROOT / ".env.docker").read_text(encoding="utf-8")
    for value in sourced.values():
        if port := urlsplit(value if "://" in value else f"tcp://{value}").port if "127.0.0.1:" in value else None:
            assert f":{port}" not in stack
