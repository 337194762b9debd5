import pytest

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.ports.model_store import TrainedWeights
from fmnist.testing.contracts.model_store import ModelStoreContract


class TestMlflowModelStore(ModelStoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, connection: MlflowConnection) -> MlflowModelStore:
        return MlflowModelStore(connection)

    @pytest.fixture(scope="class")
    @classmethod
    def run_id(cls, connection: MlflowConnection) -> str:
        return MlflowTracker(connection).start("training", {})

    @pytest.fixture(scope="class")
    @classmethod
    def weights(cls, cnn: TrainedWeights) -> TrainedWeights:
        return cnn


class TestMlflowModelStoreOnAServer(ModelStoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, server: MlflowConnection) -> MlflowModelStore:
        return MlflowModelStore(server)

    @pytest.fixture(scope="class")
    @classmethod
    def run_id(cls, server: MlflowConnection) -> str:
        return MlflowTracker(server).start("training", {})

    @pytest.fixture(scope="class")
    @classmethod
    def weights(cls, cnn: TrainedWeights) -> TrainedWeights:
        return cnn
