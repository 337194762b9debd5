import pytest

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.testing.contracts.tracker import TrackerContract


class TestMlflowTracker(TrackerContract):
    @pytest.fixture
    def tracker(self, connection: MlflowConnection) -> MlflowTracker:
        return MlflowTracker(connection)
