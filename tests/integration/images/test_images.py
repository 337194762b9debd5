"""An image holds what its processes need, and no more: seen by running them where only its own packages are.

The environments are what images/install.py makes in the Dockerfile's stages; the variables, commands and health check
are the Dockerfile's. What a layer adds to that, Debian's packages and the user, needs Docker to be seen.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from stack.services import HOST, free_ports
from tests.dockerfile import ROOT, command, health_check
from tests.integration.images.conftest import PATIENCE_SECONDS, Image

PROJECT = """
[project]
name = "fmnist"
version = "1.2.3"
dependencies = ["idna"]
optional-dependencies = {serve = ["six"], all = ["fmnist[serve]"]}
"""
# Ray looks at this before it starts a head's job server, and starts a head without one where it fails.
JOB_SERVER = "import ray.dashboard.optional_deps"
RAW = {"Content-Type": "application/octet-stream"}
EVERY_INTERFACE = "0.0.0.0"  # noqa: S104 - which the test does not bind to


def test_the_installer_takes_the_locked_versions_and_leaves_no_pip(tmp_path: Path) -> None:
    venv, wheels = tmp_path / "venv", tmp_path / "wheels"
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "fmnist.py").touch()
    (tmp_path / "constraints.txt").write_text("idna==3.10\nsix==1.16.0\nattrs==25.1.0\n")
    install = [sys.executable, str(ROOT / "images" / "install.py")]
    for step in (["dependencies", "all", str(venv)], ["wheel", str(wheels)], ["package", str(wheels), str(venv)]):
        subprocess.run([*install, *step], cwd=tmp_path, check=True)
    (site,) = venv.glob("lib/python3.*/site-packages")
    assert {path.name for path in site.glob("*.dist-info")} == {
        "fmnist-1.2.3.dist-info",
        "idna-3.10.dist-info",
        "six-1.16.0.dist-info",
    }


def test_the_training_image_trains_and_can_be_a_cluster_s_head(images: dict[str, Image], trained: str) -> None:
    image = images["training"]
    assert trained == "models:/dev.fashion-mnist-classifier/1"
    assert "fmnist train" in image.run(*command("training"), "train")
    assert "--gpu-per-worker" in image.run("python", "-m", "fmnist.apps.train", "--help")
    assert "ray, version" in image.run("ray", "--version")
    image.run("python", "-c", JOB_SERVER)


def test_each_image_has_what_the_steps_of_the_pipeline_import(images: dict[str, Image]) -> None:
    for target, apps in {"training": ("data", "deploy", "predict", "promote"), "serving": ("serve", "smoke")}.items():
        wanted = ", ".join(f"fmnist.apps.containers.{app}" for app in apps)
        images[target].run("python", "-W", "ignore", "-c", f"import {wanted}")


def test_the_serving_image_serves_a_model_without_torch(images: dict[str, Image], trained: str) -> None:
    image = images["serving"]
    absent = "import importlib.util as u; print([n for n in ('torch', 'lightning', 'pip') if u.find_spec(n)])"
    assert image.run("python", "-c", absent) == "[]\n"
    with serving(image) as (url, said):
        answer = httpx.post(f"{url}/predict", content=bytes(784), headers=RAW, timeout=60, trust_env=False).json()
    assert answer["model_uri"] == trained
    assert len(answer["predictions"]) == 1
    assert not [line for line in said if "torch" in line]


def test_serve_s_proxy_finds_its_guard_in_the_serving_image(images: dict[str, Image]) -> None:
    module, _, name = images["serving"].environment["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"].partition(":")
    images["serving"].run("python", "-W", "ignore", "-c", f"from {module} import {name}; assert {name}()")


@contextmanager
def serving(image: Image) -> Iterator[tuple[str, list[str]]]:
    """Run the image's command on a free port of loopback until its health check is content; yield its URL."""
    (port,) = free_ports(1)
    said: list[str] = []
    words = [HOST if word == EVERY_INTERFACE else word.replace("8000", str(port)) for word in command("serving")]
    process = image.start(*words)
    check = [word.replace("8000", str(port)) for word in health_check("serving")]
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while subprocess.run(check, check=False, capture_output=True).returncode != 0:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "the health check is never content"
            time.sleep(0.2)  # between two looks
        yield f"http://{HOST}:{port}", said
    finally:
        process.send_signal(signal.SIGTERM)
        said += process.communicate(timeout=PATIENCE_SECONDS)[0].splitlines()
