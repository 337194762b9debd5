import pytest

from fmnist.adapters.memory.batch_prediction import MemoryBatchPrediction
from fmnist.testing.contracts.batch_prediction import BatchPredictionContract


class TestMemoryBatchPrediction(BatchPredictionContract):
    @pytest.fixture
    def prediction(self) -> MemoryBatchPrediction:
        return MemoryBatchPrediction()
