"""`fmnist evaluate` on the model of a finished run: what it prints, writes and refuses."""

import json
from pathlib import Path

import mlflow.artifacts
import pytest

from tests.integration.apps.conftest import Trained
from tests.integration.apps.here import Here

FILES = {
    *("report.html", "model_card.md"),
    *(f"{figure}.svg" for figure in ("classes", "confusion_matrix", "learning_curves", "reliability", "robustness")),
}


def test_newest_model_is_measured_as_training_measured_it(there: Here, trained: Trained, tmp_path: Path) -> None:
    code, out, err = there("evaluate", "--robustness", "--json", "--output-dir", str(tmp_path / "new" / "report"))
    assert code == 0, err
    found, run_id = json.loads(out), trained.result["run_id"]
    assert (found["model_uri"], found["split"], found["images"]) == (trained.result["model_uri"], "test", 50)
    expected = {name: value for name, value in trained.result["metrics"].items() if name.startswith("test_")}
    assert found["metrics"] == pytest.approx(expected, abs=1e-4)
    low, high = found["accuracy_interval"]
    assert low <= found["metrics"]["test_acc"] <= high
    assert sum(map(sum, found["confusion_matrix"])) == 50
    assert len(found["classes"]) == 10
    assert found["logged_to"] == f"runs:/{run_id}/evaluations/fashion-mnist-v1.0.0-test-robustness"
    assert found["written_to"] == str(tmp_path / "new" / "report" / "report.html")
    assert {path.name for path in (tmp_path / "new" / "report").iterdir()} == FILES
    page = (tmp_path / "new" / "report" / "report.html").read_text()
    assert "Learning curves" in page
    assert "## Robustness" in (tmp_path / "new" / "report" / "model_card.md").read_text()
    robustness = found["robustness"]
    low, high = robustness["corruption_accuracy_interval"]
    assert low <= robustness["corruption_accuracy"] <= high
    assert {len(figures) for figures in robustness["accuracy"].values()} == {5}
    assert len(robustness["detections"]) == 4
    run = trained.command.only_run()
    stored = mlflow.artifacts.load_text(
        f"{run.info.artifact_uri}/evaluations/fashion-mnist-v1.0.0-test-robustness/report.html"
    )
    assert stored == page
    assert run.data.metrics["test_acc"] == trained.result["metrics"]["test_acc"], "the run itself is not changed"


def test_output_has_the_metrics_and_the_place_of_the_report(there: Here, trained: Trained, tmp_path: Path) -> None:
    measured = ("evaluate", trained.result["model_uri"], "--split", "val", "--data-version", "0.9.0")
    code, out, err = there(*measured, "--robustness", "--output-dir", str(tmp_path / "report"))
    assert code == 0, err
    assert "val of fashion-mnist-v0.9.0, 50 images" in out
    assert "Ankle boot" in out
    assert "inverted pictures, by energy" in out
    assert f"report {tmp_path}/report/report.html\n" in out
    assert f"report runs:/{trained.result['run_id']}/evaluations/fashion-mnist-v0.9.0-val-robustness/report.html" in out
    assert all(len(line) <= 80 for line in out.splitlines() if not line.startswith("report"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("models:/nobody/1",), "models:/nobody/1"),
        (("shoe.png",), "models:/NAME/VERSION"),
        (("--split", "train"), "split must be test or val, found 'train'"),
        (("--data-version", "0.9.0"), "has no split 'test': it has train, val"),
        (("--data-version", "7.7.7"), "7.7.7"),
        (("--output-dir", "/dev/null/report"), "--output-dir /dev/null/report cannot be created"),
    ],
)
def test_impossible_evaluation_is_refused_in_one_line(there: Here, arguments: tuple[str, ...], said: str) -> None:
    assert said in there.refused("evaluate", *arguments)
