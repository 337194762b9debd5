"""The report of a mediocre model, for tests that show a report."""

import numpy as np

from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.evaluation.calibration import Calibration
from fmnist.domain.model.evaluation.metrics import softmax
from fmnist.domain.model.evaluation.report import Measurement, ModelReport, SplitPredictions, TrainingStory
from fmnist.domain.model.evaluation.robustness import SEVERITIES, Cell, Corruption, Detection, Robustness
from fmnist.domain.model.model import ModelInfo
from fmnist.domain.model.training.run import EPOCH_METRICS
from fmnist.testing.data import toy_images


def a_measurement(split: str = "test", seed: int = 0, n: int = 300) -> Measurement:
    """Predictions that are mostly correct."""
    data, rng = toy_images(n, seed), np.random.default_rng(seed)
    logits = rng.standard_normal((n, 10)).astype(np.float32)
    logits[np.arange(n), data.labels] += 2
    answers = SplitPredictions(data.images, data.labels, logits, 0.1)
    return Measurement.of(split, "fashion-mnist-v1.0.0", "0" * 32, answers)


def a_report() -> ModelReport:
    """A report with all parts that training has numbers for."""
    data, rng = toy_images(200), np.random.default_rng(1)
    return ModelReport(
        info=ModelInfo(
            architecture="cnn",
            normalization=Normalization(0.286041, 0.353024),
            class_names=CLASS_NAMES,
            lineage={"run_id": "1" * 32, "git_commit": "c0ffee", "dvc_data_version": "fashion-mnist-v1.0.0"},
            metrics={},
        ),
        measured=a_measurement(),
        val=a_measurement("val", seed=1),
        calibration=Calibration.of(data.labels, softmax(rng.standard_normal((200, 10)).astype(np.float32))),
        story=TrainingStory(
            device="cpu",
            params={
                "architecture": "cnn",
                "lr": "0.2",
                "max_epochs": "3",
                "precision": "bfloat16",
                "dvc_repo_url": "x",
            },
            history=[dict.fromkeys(EPOCH_METRICS, 0.5 + 0.1 * epoch) for epoch in range(3)],
            best_epoch=2,
            seconds=12.5,
            images_per_second=13_200.0,
        ),
        source="https://example.com/registry.git",
        counts={"train": 55_000, "val": 5_000, "test": 10_000},
    )


def a_robustness() -> Robustness:
    """Answers that become worse with each severity."""
    return Robustness(
        clean=Cell(300, 270, 0.9, 0.01),
        cells={each: [Cell(300, 270 - 40 * severity, 0.8, 0.1) for severity in SEVERITIES] for each in Corruption},
        hits=np.arange(300) % 56,
        examples={each: toy_images(6).images for each in Corruption},
        detections=[Detection("loud pictures", "energy", 0.875, 0.25)],
    )
