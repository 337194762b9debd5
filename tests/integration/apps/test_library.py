"""`fmnist.load_classifier` in plain Python: it reads the environment, but no `.env`, and prints nothing."""

import subprocess
import sys

import pytest

import fmnist
from fmnist.adapters.dvc.registry import DvcDataRegistry
from tests.integration.apps.conftest import Trained
from tests.integration.apps.here import Here

CLASSIFY = """
import sys
import fmnist, numpy
classifier = fmnist.load_classifier(sys.argv[1])
answers = classifier(numpy.zeros((2, 28, 28), "uint8"))
assert len(answers) == 2
assert classifier.info.metrics["val_acc"] > 0.9
assert "torch" not in sys.modules
print(type(classifier).__name__, answers[0].class_name in fmnist.CLASS_NAMES)
"""


def test_load_classifier_classifies_and_prints_nothing(trained: Trained) -> None:
    (trained.command.home / ".env").write_text("MLFLOW_TRACKING_URI=http://127.0.0.1:9\n")
    try:
        done = subprocess.run(
            [sys.executable, "-c", CLASSIFY, trained.result["model_uri"]],
            cwd=trained.command.home,
            env=trained.command.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        (trained.command.home / ".env").unlink()
    assert (done.returncode, done.stdout, done.stderr) == (0, "Prediction True\n", "")


def test_load_classifier_answers_as_the_command_does(there: Here, trained: Trained) -> None:
    uri, registry = trained.result["model_uri"], DvcDataRegistry(trained.command.registry)
    images = registry.read(registry.resolve("1.0.0"), "val").images[:3]
    with there.surroundings():
        answers = fmnist.load_classifier(uri)(images)
    told = there.json("predict", "--split", "val", "--index", "0-2", "--top-k", "1")["images"]
    assert [answer.class_name for answer in answers] == [each["predictions"][0]["class_name"] for each in told]


@pytest.mark.parametrize(
    ("uri", "variables", "error"),
    [
        ("models:/dev.fashion-mnist-classifier@champion", {}, fmnist.ModelNotFound),
        ("models:/dev.fashion-mnist-classifier/2", {}, fmnist.ModelNotFound),
        (
            "models:/dev.fashion-mnist-classifier/1",
            {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},
            fmnist.StoreUnavailable,
        ),
        ("models:/dev.fashion-mnist-classifier/1", {"LOG_LEVEL": "loud"}, fmnist.InvalidSetting),
        ("runs:/1/model", {}, fmnist.InvalidSetting),
    ],
)
def test_load_classifier_raises_the_documented_errors(
    there: Here,
    capfd: pytest.CaptureFixture[str],
    uri: str,
    variables: dict[str, str],
    error: type[fmnist.FmnistError],
) -> None:
    with there.surroundings(**variables), pytest.raises(error) as caught:
        fmnist.load_classifier(uri)
    assert type(caught.value) is error
    assert capfd.readouterr() == ("", "")
