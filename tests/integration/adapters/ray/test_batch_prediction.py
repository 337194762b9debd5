"""Batch prediction with Ray Data on a real cluster: tasks read, actors answer."""

import psutil
import pytest

from fmnist.adapters.memory.image_source import MemoryImageSource
from fmnist.adapters.ray.batch_prediction import RayBatchPrediction
from fmnist.adapters.ray.compute import RayCompute
from fmnist.testing.contracts.batch_prediction import SIZES, BatchPredictionContract, toy_classifier, toy_source


class TestRayBatchPrediction(BatchPredictionContract):
    """The cluster is that of the folder's conftest, which `compute` stops."""

    @pytest.fixture
    def prediction(self, compute: RayCompute) -> RayBatchPrediction:
        return RayBatchPrediction(compute.cluster)

    @pytest.mark.soak
    def test_rows_are_answered_after_a_worker_was_lost(self, prediction: RayBatchPrediction) -> None:
        source = toy_source(MemoryImageSource(at_a_time=1))
        answers = prediction.answer(source.parts(list(source.files)), source, toy_classifier)
        rows = len(next(answers).rows)
        for process in psutil.Process().children(recursive=True):
            if "MapWorker" in " ".join(process.cmdline()):
                process.kill()
        rows += sum(len(each.rows) + len(each.unreadable) for each in answers)
        assert rows == sum(SIZES.values())
