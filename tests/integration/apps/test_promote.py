"""`fmnist promote` with the embedded default: promotes, refuses and rolls back three models of different quality."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from mlflow.entities import Metric

from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.lightning.compute import LocalCompute
from fmnist.apps.containers.models import ModelsContainer
from fmnist.apps.settings import Settings
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.model.training.run import TrainingSpec
from fmnist.domain.services.training.run import Provenance, TrainingRun
from fmnist.ports.compute import FitResult, OnProgress
from fmnist.testing.data import toy_splits
from tests.integration.apps.command import Command
from tests.integration.apps.here import Here
from tests.integration.support import make_dvc_registry

SOURCE, STAGING, PROD = (f"{stage}.fashion-mnist-classifier" for stage in ("dev", "staging", "prod"))
SPEC = TrainingSpec(recipe=PRESETS["fast"].override(batch_size=8, lr=0.02), seed=7)
# Medium, bad and good: the number of classes that each model knows.
KNOWN = (8, 4, 10)


@dataclass(frozen=True)
class Forgetful(LocalCompute):
    """Trains once, and makes models that know only the first n classes, so that their quality is deterministic."""

    known: int = 10
    trained: ClassVar[list[FitResult]] = []

    def fit(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress) -> FitResult:
        if not self.trained:
            self.trained.append(LocalCompute.fit(self, spec, dataset, run_id, on_progress))
        (fit,) = self.trained
        state = torch.load(fit.weights.path, weights_only=True)
        *_, last = (name for name, values in state.items() if values.shape == (10,))
        state[last][self.known :] = -1e3
        path = self.checkpoints / f"{run_id}.pt"
        torch.save(state, path)
        return replace(fit, weights=replace(fit.weights, path=str(path)))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> RegistrySettings:
    splits = {"0.9.0": toy_splits(160, 50, 0, seed=1), "1.0.0": toy_splits(160, 50, 200)}
    return make_dvc_registry(tmp_path_factory.mktemp("registry"), splits, legacy=["0.9.0"])


@pytest.fixture(scope="module")
def trained(registry: RegistrySettings, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A state directory with three models of three workflows."""
    command = Command(tmp_path_factory.mktemp("promotions"), registry)
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name.upper(), raising=False)
        settings = Settings(
            fmnist_home=command.home, dvc_repo_url=registry.repo.reveal(), dvc_remote_url=str(registry.remote_url)
        )
        container = ModelsContainer(settings=settings)
        data, tracker = container.data_registry(), container.tracker()
        for number, known in enumerate(KNOWN, 1):
            compute = Forgetful(data.read, settings.checkpoint_directory, threads=1, known=known)
            training = TrainingRun(data, tracker, compute, container.model_store(), SOURCE, lambda *_: {})
            provenance = Provenance(
                argo_workflow_uid=f"workflow-{number}", docker_image_tag=f"image-{number}", git_commit="c0ffee"
            )
            training.start(SPEC, provenance, lambda _: None, run_name=f"model-{number}", data_version="1.0.0")
    return command


@dataclass(frozen=True)
class Story:
    """The outputs of the commands, in order."""

    command: Command
    first: str
    refused: Any
    better: str
    rolled_back: str


@pytest.fixture(scope="module")
def story(trained: Command) -> Story:
    """Promoted, refused, promoted and rolled back. A test may add to it, but must not change it."""

    def run(number: int, *more: str) -> str:
        return Here(trained).told("promote", "run", "--model-uri", f"models:/{SOURCE}/{number}", *more)

    first = run(1)
    refused = json.loads(run(2, "--json"))
    # The model that knows all classes may be worse in some than the one that knows five.
    (trained.home / "lenient.toml").write_text("max_class_drop = 0.5\n")
    better = run(3, "--policy", "lenient.toml", "--serving-image", "serving:v3", "--output-dir", "out")
    rolled_back = Here(trained).told("promote", "rollback", "--by", "A. Person", "--reason", "for a test")
    return Story(trained, first, refused, better, rolled_back)


def test_the_first_model_becomes_champion(story: Story) -> None:
    assert f"models:/{PROD}/1 is @champion, the first one" in story.first
    assert "fmnist promote rollback --reason WHY" in story.first


def test_a_worse_model_is_refused_and_all_measurements_are_shown(story: Story) -> None:
    assert (story.refused["promoted"], story.refused["prod_version"], story.refused["staging_uri"]) == (False, "", None)
    assert story.refused["message"].startswith("refuse: accuracy: ")
    decision = story.refused["decision"]
    assert (decision["data_version"], decision["split"]) == ("fashion-mnist-v1.0.0", "test")
    assert decision["champion"] == f"models:/{PROD}/1"
    rules = {rule["name"]: rule for rule in decision["rules"]}
    assert set(rules) == {"accuracy", "McNemar", "classes", "calibration"}
    assert rules["accuracy"]["figures"]["images"] == 200
    assert rules["accuracy"]["figures"]["high"] < 0


def test_a_better_model_becomes_champion_and_the_outputs_say_so(story: Story) -> None:
    told = story.better
    assert f"models:/{PROD}/2 is @champion in place of models:/{PROD}/1" in " ".join(told.split())
    assert all(len(line) <= 80 for line in told.partition("Next:")[0].splitlines())
    outputs = {path.name: path.read_text() for path in (story.command.home / "out").iterdir()}
    assert (outputs["promoted"], outputs["staging_version"], outputs["prod_version"]) == ("true", "2", "2")
    assert outputs["message"].startswith(f"models:/{PROD}/2 is @champion")
    report = json.loads(outputs["report.json"])
    assert report["prod_uri"] == f"models:/{PROD}/2"
    latency = report["acceptance"]["checks"][3]
    assert latency["name"] == "latency"
    assert 0 < latency["figures"]["seconds"] < 0.5
    assert latency["figures"]["ratio"] > 0


def test_a_rollback_brings_the_old_champion_back(story: Story) -> None:
    assert f"models:/{PROD}/1 is @champion again, models:/{PROD}/2 was rolled back" in " ".join(
        story.rolled_back.split()
    )
    client = story.command.client
    assert client.get_model_version_by_alias(PROD, "champion").version in {1, "1"}
    assert client.get_model_version_by_alias(PROD, "previous").version in {2, "2"}


def test_history_and_status_show_all_promotions(story: Story) -> None:
    told = Here(story.command).told("promote", "history")
    events = re.findall(r"^\S+Z  (\w+(?: \w+)?) +(\w+)\.fashion-mnist-classifier/(\d)", told, re.MULTILINE)
    assert events == [
        ("registered", "dev", "1"),
        ("registered", "dev", "2"),
        ("registered", "dev", "3"),
        ("accepted", "dev", "1"),
        ("staged", "staging", "1"),
        ("tested", "staging", "1"),
        ("released", "prod", "1"),
        ("refused", "dev", "2"),
        ("accepted", "dev", "3"),
        ("staged", "staging", "2"),
        ("tested", "staging", "2"),
        ("released", "prod", "2"),
        ("rolled back", "prod", "2"),
    ]
    assert "to version 1: for a test" in told
    assert all(len(line) <= 80 for line in told.splitlines())
    shown = Here(story.command).told("promote", "status")
    assert re.search(rf"^champion +models:/{re.escape(PROD)}/1 +\d{{4}}-\d\d-\d\dT\S+Z$", shown, re.MULTILINE)
    assert re.search(r"^ +served by +serving:v3 *$", shown, re.MULTILINE)
    assert all(len(line) <= 80 for line in shown.splitlines())
    roles = {row["role"]: row for row in Here(story.command).json("promote", "status")}
    assert roles["champion"]["model_uri"] == f"models:/{PROD}/1"
    assert (roles["champion"]["data"], roles["champion"]["image"]) == ("fashion-mnist-v1.0.0", "image-1")
    assert roles["previous"]["serving_image"] == "serving:v3"
    assert roles["previous"]["note"] == "rolled back by A. Person: for a test"


def test_trace_shows_data_and_code_of_the_production_model(story: Story) -> None:
    links = Here(story.command).json("promote", "trace", f"models:/{PROD}@champion")
    assert [link["name"] for link in links[:3]] == [f"models:/{PROD}/1", f"models:/{STAGING}/1", f"models:/{SOURCE}/1"]
    assert [(link["what"], link["name"]) for link in links[4:]] == [
        ("data version", "fashion-mnist-v1.0.0"),
        ("git commit", "c0ffee"),
        ("image", "image-1"),
        ("workflow", "workflow-1"),
    ]


def test_single_steps_give_the_same_result_as_the_pipeline(story: Story) -> None:
    """As on the platform: the workflow's model, the contract's rule, and a person's approval."""
    platform = {
        "ENVIRONMENT": "training",
        "ARGO_WORKFLOW_UID": "workflow-3",
        "DOCKER_IMAGE_TAG": "image",
        "DVC_DATA_VERSION": "1.0.0",
    }
    compared = Here(story.command).json("promote", "compare", **platform)
    assert (compared["promoted"], compared["decision"]["mode"]) == (True, "contract")
    assert compared["decision"]["version"] == f"models:/{SOURCE}/3"
    staged = Here(story.command).json("promote", "stage", **platform)
    assert staged["staging_version"] == "3"
    assert Here(story.command).json("promote", "test", **platform)["promoted"] is True
    release = ("release", "--approval", "manual")
    early = Here(story.command).refused("promote", *release, **platform)
    assert f"models:/{STAGING}/3 is not approved" in early
    approved = Here(story.command).json("promote", "approve", "--by", "A. Person", "--reason", "looked at it")
    assert approved["staging_version"] == "3"
    assert Here(story.command).json("promote", *release)["prod_version"] == "3"
    assert "already: nothing changed" in Here(story.command).json("promote", *release)["message"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("compare", "--model-uri", f"models:/{SOURCE}/9"), f"models:/{SOURCE}/9 is not in MLflow"),
        (("compare", "--model-uri", f"models:/{PROD}/1"), f"is not a version of the source model {SOURCE}"),
        (("compare", "--model-uri", "nonsense"), "must be models:/NAME/VERSION"),
        (("compare", "--data-version", "0.9.0"), "has no split 'test': it has train, val"),
        (("compare", "--data-version", "7.0.0"), "no version '7.0.0'"),
        (("compare", "--mode", "contract", "--metric", "val_auc"), "has no metric 'val_auc'; its metrics: "),
        (("compare", "--policy", "absent.toml"), "policy file absent.toml cannot be read"),
        (("compare", "--threshold", "nan"), "threshold must be a finite number"),
        (("stage", "--model-uri", f"models:/{SOURCE}/2"), "may not be staged: the decision is refuse: "),
        (("test", "--model-uri", f"models:/{STAGING}/9"), f"there is no models:/{STAGING}/9"),
        (("approve", "--by", " ", "--reason", "why"), "an approval needs the name of a person; give --by"),
        (("release", "--model-uri", f"models:/{PROD}/1"), f"is not a version of {STAGING}"),
        (("rollback", "--reason", ""), "a rollback needs a reason; give --reason"),
        (("trace", f"models:/{PROD}@nobody"), "has no alias 'nobody'"),
    ],
)
def test_bad_input_is_one_clear_line_and_changes_nothing(
    story: Story, arguments: tuple[str, ...], complaint: str
) -> None:
    before = _everything(story.command)
    assert complaint in Here(story.command).refused("promote", *arguments)
    assert _everything(story.command) == before


def test_a_metric_that_is_not_a_number_is_refused(story: Story) -> None:
    client = story.command.client
    run_id = client.get_model_version(SOURCE, "3").run_id
    client.log_batch(run_id, metrics=[Metric("val_odd", float("nan"), 0, 0)])
    uri = f"models:/{SOURCE}/3"
    contract = ("--mode", "contract", "--metric", "val_odd")
    refused = Here(story.command).refused("promote", "compare", "--model-uri", uri, *contract)
    assert "val_odd of" in refused
    assert "found nan" in refused


WITHOUT_TORCH = """
import sys
sys.modules.update(torch=None, lightning=None, ray=None)
from fmnist.__main__ import main
for line in sys.argv[1:]:
    try:
        main(["promote", *line.split(), "--json"])
    except SystemExit as ended:
        assert ended.code == 0, line
    print("---")
"""


def test_promotion_works_without_torch(story: Story) -> None:
    lines = ("compare", "compare --mode contract", "test")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *lines],
        cwd=story.command.home,
        env=story.command.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reports = done.stdout.split("---\n")[:-1]
    assert [bool(json.loads(report)["message"]) for report in reports] == [True] * 3


def test_a_decision_policy_comes_from_a_file(story: Story) -> None:
    (story.command.home / "policy.toml").write_text("min_gain = 0.9\nmax_class_drop = 1\n")
    uri = f"models:/{SOURCE}/3"
    told = Here(story.command).json("promote", "compare", "--model-uri", uri, "--policy", "policy.toml")
    assert told["promoted"] is False
    assert told["decision"]["policy"]["min_gain"] == 0.9


def test_a_flag_of_the_contract_s_rule_is_not_ignored_silently(story: Story) -> None:
    compare = ("compare", "--model-uri", f"models:/{SOURCE}/2", "--threshold", "0.01")
    assert "no effect in mode evaluate: --threshold" in Here(story.command)("promote", *compare)[2]
    assert "no effect" not in Here(story.command)("promote", *compare, "--mode", "contract")[2]


def _everything(command: Command) -> Any:
    client = command.client
    return [
        (entry.name, entry.version, entry.tags, client.get_registered_model(entry.name).aliases)
        for entry in client.search_model_versions()
    ]
