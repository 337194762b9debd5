"""`fmnist data audit` for real, on tiny data: trained models, cleanlab, MLflow and files."""

import json
import signal

from tests.integration.apps.command import Command
from tests.integration.apps.here import Here


def test_audit_is_interrupted_goes_on_and_leaves_data_and_models_alone(command: Command) -> None:
    started = command.start("data", "audit", "1.0.0")
    started.wait_for("fold 2 of 4")
    started.send(signal.SIGTERM)
    code, said = started.end()
    assert code == 143
    assert said.splitlines()[-1] == "terminated"
    directory = command.home / "audits" / "fashion-mnist-v1.0.0"
    kept = {file.name: file.stat().st_mtime_ns for file in (directory / "folds").iterdir()}
    assert kept, "the first fold is kept"
    assert not (directory / "audit.json").exists()

    here = Here(command)
    before = here.json("data", "show", "1.0.0")
    found = here.json("data", "audit", "1.0.0")
    assert found["counts"]["images"] == 260
    assert found["counts"]["equal_images"] == 0
    assert {name: (directory / "folds" / name).stat().st_mtime_ns for name in kept} == kept
    assert {file.name for file in directory.iterdir()} == {"report.html", "audit.json", "rows.csv", "folds"}
    document = json.loads((directory / "audit.json").read_text())
    assert document["counts"] == found["counts"]
    assert not list((command.home / "checkpoints").iterdir()), "no checkpoint of a fold stays"

    run = command.only_run()
    assert (run.info.status, run.data.tags["audit_of"]) == ("FINISHED", "fashion-mnist-v1.0.0")
    assert command.versions() == []
    assert here.json("data", "show", "1.0.0") == before
    assert "was not begun by fmnist train" in here.refused("train", "--resume", run.info.run_id)


def test_version_without_test_is_audited_and_an_unknown_one_refused(command: Command) -> None:
    here = Here(command)
    told = here.told("data", "audit", "0.9.0")
    assert "This is the judgement of models. No person has checked it." in told
    assert "test, all images" not in told
    assert "the data registry has no version '9.9.9'" in here.refused("data", "audit", "9.9.9")
