"""An undisturbed training run: all that the platform reads from it, and that it can be reproduced."""

import json
import re
import subprocess
from pathlib import Path

import mlflow.artifacts
import numpy as np
import pytest
import torch

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.domain.model.evaluation.metrics import softmax
from fmnist.domain.model.evaluation.report import SECONDS_METRIC, SPEED_METRIC
from fmnist.domain.model.training.run import EPOCH_METRICS
from tests.integration.apps.command import Command
from tests.integration.apps.conftest import RECIPE, Trained
from tests.integration.apps.here import Here

TEST_METRICS = ("test_loss", "test_acc", "test_precision", "test_recall", "test_f1", "test_ece")


def test_stdout_has_only_the_result(trained: Trained) -> None:
    result = trained.result
    assert set(result) == {"run_id", "model_uri", "best_epoch", "training_seconds", "metrics"}
    assert result["model_uri"] == "models:/dev.fashion-mnist-classifier/1"
    assert result["metrics"]["test_acc"] > 0.9, "the toy data is easy"


def test_stderr_has_the_store_the_run_and_one_line_per_epoch(trained: Trained) -> None:
    home, run, *epochs = trained.process.stderr.splitlines()
    assert home.endswith(f"INFO fmnist.apps.train: state directory {trained.command.home}")
    run_id, version = trained.result["run_id"], "fashion-mnist-v1.0.0"
    assert run.endswith(f"INFO fmnist.domain.services.training.run: run {run_id}: cnn on {version}")
    figures = r"epoch {}/3  train loss \d+\.\d+ acc +\d+\.\d%  val loss \d+\.\d+ acc +\d+\.\d%(  best)?"
    assert [bool(re.fullmatch(figures.format(number), line)) for number, line in enumerate(epochs, 1)] == [True] * 3


def test_run_has_the_tags_and_params_that_the_platform_reads(trained: Trained) -> None:
    run = trained.command.only_run()
    dataset = DvcDataRegistry(trained.command.registry).resolve()
    assert (run.info.run_id, run.info.run_name, run.info.status) == (trained.result["run_id"], "demo", "FINISHED")
    tags = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}
    checkout = subprocess.run(
        ["git", "-C", Path(__file__).parent, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert tags == {
        "argo_workflow_uid": "workflow-7",
        "docker_image_tag": "sha-1234",
        "git_commit": checkout.stdout.strip(),
        "dvc_data_version": "fashion-mnist-v1.0.0",
        "dvc_data_sha": dataset.commit,
        "data_digest": dataset.digest,
        "best_epoch": str(trained.result["best_epoch"]),
        "temperature": run.data.tags["temperature"],
        "compute": "local",
        "device": run.data.tags["device"],
    }
    assert run.data.params == {
        "dvc_repo_url": str(trained.command.registry.repo),
        "dvc_data_version": "fashion-mnist-v1.0.0",
        "dvc_train_data_path": "data/fashion-mnist/processed/train/train.parquet",
        "dvc_val_data_path": "data/fashion-mnist/processed/val/val.parquet",
        "dvc_test_data_path": "data/fashion-mnist/processed/test/test.parquet",
        "dvc_metrics_path": "data/fashion-mnist/metadata.json",
        "architecture": "cnn",
        "optimizer": "sgd",
        "schedule": "one_cycle",
        "batch_size": "8",
        "global_batch_size": "8",
        "lr": "0.02",
        "max_epochs": "3",
        "weight_decay": "0.0005",
        "label_smoothing": "0.1",
        "flip": "True",
        "shift": "0",
        "erase": "0",
        "fade": "96",
        "precision": "bfloat16",
        "compile": "False",
        "seed": "7",
        "num_workers": "1",
        "gpu_per_worker": "0.0",
    }
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == (dataset.version, dataset.digest)
    stored = mlflow.artifacts.download_artifacts(
        f"{run.info.artifact_uri}/dvc_data_metrics.json", tracking_uri=f"sqlite:///{trained.command.home}/mlflow.db"
    )
    assert json.loads(Path(stored).read_text()) == dataset.metadata


def test_metrics_are_logged_per_epoch_and_end_with_those_of_the_registered_model(trained: Trained) -> None:
    run_id, metrics = trained.result["run_id"], trained.result["metrics"]
    names = set(trained.command.only_run().data.metrics)
    assert names == {*EPOCH_METRICS, *TEST_METRICS, SECONDS_METRIC, SPEED_METRIC}
    for name in names:
        steps = [step for step, _ in trained.command.history(run_id, name)]
        assert steps == {"train": [0, 1, 2], "val": [0, 1, 2, 3]}.get(name.partition("_")[0], [3])
    (_, seconds), (_, speed) = (
        *trained.command.history(run_id, SECONDS_METRIC),
        *trained.command.history(run_id, SPEED_METRIC),
    )
    assert speed == pytest.approx(3 * 160 / seconds)
    val = dict(trained.command.history(run_id, "val_acc"))
    best = max(range(3), key=lambda epoch: (val[epoch], -epoch))
    assert trained.result["best_epoch"] == best
    assert val[3] == val[best] == metrics["val_acc"]
    assert trained.command.history(run_id, "test_ece") == [(3, metrics["test_ece"])]


def test_run_has_the_report_and_the_model_its_card(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking_uri, uri = f"sqlite:///{trained.command.home}/mlflow.db", trained.result["model_uri"]
    report = f"{trained.command.only_run().info.artifact_uri}/report"
    entries = mlflow.artifacts.list_artifacts(report, tracking_uri=tracking_uri)
    figures = {f"{name}.svg" for name in ("classes", "confusion_matrix", "learning_curves", "reliability")}
    assert {Path(entry.path).name for entry in entries} == {"report.html", "model_card.md", *figures}
    page = mlflow.artifacts.load_text(f"{report}/report.html")
    assert f"<h1>{uri}</h1>" in page
    assert f"{trained.result['metrics']['test_acc']:.2%}" in page
    # Readable with only the model's URI.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    card = mlflow.artifacts.load_text(f"{uri}/extra_files/model_card.md")
    (version,) = trained.command.versions()
    assert card == version.description == mlflow.artifacts.load_text(f"{report}/model_card.md")
    assert trained.result["run_id"] in card
    assert "train 160, val 50" in card


def test_model_is_registered_with_its_origin(trained: Trained) -> None:
    (version,) = trained.command.versions()
    assert (version.name, version.run_id) == ("dev.fashion-mnist-classifier", trained.result["run_id"])
    assert version.tags["dvc_data_version"] == "fashion-mnist-v1.0.0"
    assert version.tags["argo_workflow_uid"] == "workflow-7"


def test_plain_mlflow_gives_the_predictions_of_fmnist_predict(
    trained: Trained, there: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.models
    import mlflow.pytorch

    # A notebook sets this, too.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{trained.command.home}/mlflow.db")
    uri = trained.result["model_uri"]
    signature = mlflow.models.get_model_info(uri).signature
    for side, shape in ((signature.inputs, (-1, 1, 28, 28)), (signature.outputs, (-1, 10))):
        (tensor,) = side.inputs
        assert (tensor.type, tensor.shape) == (np.dtype("float32"), shape)

    registry = DvcDataRegistry(trained.command.registry)
    dataset = registry.resolve()
    images = registry.read(dataset, "test").images[:7]
    network = mlflow.pytorch.load_model(uri)
    with torch.inference_mode():
        expected = softmax(network(torch.from_numpy(dataset.normalization.apply(images))).numpy())
    told = there.json("predict", "--split", "test", "--index", "0-6", "--top-k", "10")
    assert told["model_uri"] == uri
    for row, image in enumerate(told["images"]):
        answers = {answer["class_id"]: answer["confidence"] for answer in image["predictions"]}
        np.testing.assert_allclose([answers[label] for label in range(10)], expected[row], atol=1e-5)


def test_training_on_an_older_version_without_a_test_split(here: Here, command: Command, tmp_path: Path) -> None:
    # Settings come from .env, and only missing ones from exported variables.
    (tmp_path / ".env").write_text("MLFLOW_REGISTERED_MODEL_NAME=ci.fashion-mnist-classifier\nDVC_DATA_VERSION=1.0.0\n")
    told = here.told("train", "--compute", "local", *RECIPE, DVC_DATA_VERSION="0.9.0")
    (version,) = command.versions()
    assert version.name == "ci.fashion-mnist-classifier"
    run = command.only_run()
    assert run.data.tags["dvc_data_version"] == "fashion-mnist-v0.9.0"
    assert "dvc_test_data_path" not in run.data.params
    assert not [name for name in run.data.metrics if name.startswith("test_")]
    assert re.search(r"test accuracy +not measured: this data version has no test split", told)
    assert re.search(r"val accuracy +\d+\.\d\d% of 50 images", told)
    assert "  fmnist predict --split val --index 0-4\n" in told
    assert f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db" in told
    assert all(len(line) <= 80 for line in told.partition("Next:")[0].splitlines())


def test_module_is_the_command_for_ray_jobs(command: Command) -> None:
    done = command.run("--preset", "none", module="fmnist.apps.train")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: preset 'none' is none of ")
