"""Triton's own HTTP client, in JSON and with binary tensors. Its pins conflict with ours, so it is installed apart."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.integration.apps.serving.host import Host
from tests.integration.apps.serving.models import GOOD

REQUIREMENT = "tritonclient[http]==2.73.0"
CLIENT = Path(__file__).with_name("triton_client.py")


@pytest.fixture(scope="session")
def python(pytestconfig: pytest.Config) -> str:
    """The Python of an environment with the client. It is kept in pytest's cache."""
    environment = pytestconfig.cache.mkdir("tritonclient") / "environment"
    python, installed = str(environment / "bin" / "python"), environment / "installed"
    if not installed.exists() or installed.read_text() != REQUIREMENT:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT]
        made = subprocess.run(pip, check=False, capture_output=True, text=True, timeout=300)
        if made.returncode:
            pytest.skip(f"no package index has {REQUIREMENT}: {made.stderr.strip().splitlines()[-1]}")
        installed.write_text(REQUIREMENT)
    return python


def test_tritons_client_reads_every_mix_of_json_and_binary_tensors(service: Host, python: str) -> None:
    command = [python, str(CLIENT), f"127.0.0.1:{service.port}"]
    asked = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert asked.returncode == 0, asked.stderr
    found = json.loads(asked.stdout)
    assert (found["ready"], found["extensions"]) == (True, ["binary_tensor_data"])
    assert found["datatypes"] == {"class_id": "INT64", "probabilities": "FP32"}
    assert "must be an integer 0-255, found a decimal number" in found["refusal"]
    octets = {"Content-Type": "application/octet-stream"}
    answer = service.client.post("/predict?probabilities=true", content=bytes(found["pixels"]), headers=octets).json()
    expected = [each["probabilities"] for each in answer["predictions"]]
    both = ["class_id", "probabilities"]
    assert [each["binary"] for each in found["answers"]] == 4 * [both, both, [], ["probabilities"]]
    for each in found["answers"]:
        assert (each["id"], each["class_id"]) == ("7", [GOOD[0]] * 3)
        assert each["dtypes"] == {"class_id": "int64", "probabilities": "float32"}
        # The smallest probabilities tell images apart. JSON has as many digits as float32 needs.
        np.testing.assert_array_equal(np.float32(each["probabilities"]), np.float32(expected))
