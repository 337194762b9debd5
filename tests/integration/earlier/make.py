"""Makes `home.tar.xz`, a state directory of commit f3b97ae. This file runs only on that commit. Do not change it.

    python -m tests.integration.earlier.make /tmp/fmnist-f3b97ae
    tar -C /tmp/fmnist-f3b97ae -cJf tests/integration/earlier/home.tar.xz .

The directory holds a data registry with version 1.0.0 of toy images and a released model. A second model is staged,
tested and approved, but not released. Two runs are interrupted: one of each compute.
"""

import json
import shutil
import signal
import sys
from pathlib import Path

from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.testing.data import toy_splits
from tests.integration.apps.command import Command
from tests.integration.support import make_dvc_registry

POLICY = """\
min_accuracy = 0.0
min_gain = -1.0
max_class_drop = 1.0
max_calibration_loss = 1.0
max_latency_ratio = 100.0
"""
RECIPE = ("--batch-size", "8", "--lr", "0.02", "--max-epochs", "3")


def main(home: Path) -> None:
    """Make everything, in a home that does not exist yet."""
    home.mkdir()
    made = make_dvc_registry(home, {"1.0.0": toy_splits(160, 50, 50)})
    (home / "store").rename(home / "data-store")
    (home / "registry.git").rename(home / "data-registry.git")
    registry = RegistrySettings(
        repo=str(home / "data-registry.git"), remote_url=str(home / "data-store"), paths=made.paths
    )
    command = Command(home, registry)
    (home / "policy.toml").write_text(POLICY, encoding="utf-8")
    policy = ("--policy", "policy.toml")

    runs = {}
    for name in ("released", "staged"):
        seed = ("--seed", "7" if name == "released" else "8")
        trained = command.json("train", "--compute", "local", "--run-name", name, *RECIPE, *seed)
        runs[name] = trained["run_id"]
        if name == "released":
            command.json("promote", "run", *policy)
        else:
            command.json("promote", "compare", *policy)
            command.json("promote", "stage")
            command.json("promote", "test", *policy)
            command.json("promote", "approve", "--by", "earlier", "--reason", "looks good")
    for compute in ("local", "ray"):
        started = command.start("train", "--compute", compute, "--run-name", f"interrupted-{compute}", *RECIPE)
        started.wait_for("epoch 1/3")
        started.send(signal.SIGINT)
        code, said = started.end()
        assert code == 130, said
        runs[f"interrupted-{compute}"] = command.runs()[0].info.run_id
    for finished in ("released", "staged"):
        shutil.rmtree(home / "checkpoints" / runs[finished])
    shutil.rmtree(home / "work")
    (home / "runs.json").write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
