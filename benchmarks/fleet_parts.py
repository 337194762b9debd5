"""The shared parts of a cluster, with their queues and costs, for the simulation in `fleet.py`.

The replicas' own code runs as it is. Only the answers of the model registry, of the data registry and of the actor take
virtual time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from virtual_time import CLOCK, Station, VirtualCalls

from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.memory.serving_memory import MemoryServingMemory
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.model import ModelVersion
from fmnist.ports.model_store import Classifier, ClassifierFactory, ModelPackage
from fmnist.ports.serving_memory import KeptModel

# How long a replica waits for the actor: `_ANSWER_SECONDS` of `adapters/ray/serving_memory.py`.
ACTOR_PATIENCE = 10.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What shared parts and replicas spend. Times are in seconds. The defaults are measured by `fleet_costs.py`."""

    alias: float = field(default=0.018, metadata={"help": "model registry: one lookup of an alias"})
    version: float = field(default=0.011, metadata={"help": "model registry: one lookup of a version"})
    download: float = field(default=0.044, metadata={"help": "model registry: all requests of one download"})
    download_requests: int = field(default=7, metadata={"help": "model registry: number of these requests"})
    registry_workers: int = field(default=1, metadata={"help": "model registry: worker processes"})
    git: float = field(default=0.014, metadata={"help": "Git server: one copy of the data registry"})
    git_workers: int = field(default=2, metadata={"help": "Git server: cores"})
    name: float = field(default=0.00002, metadata={"help": "Ray's GCS: one lookup of the actor by its name"})
    call: float = field(default=0.00046, metadata={"help": "actor: one call"})
    copy: float = field(default=0.003, metadata={"help": "actor: to send or to receive one MB of a model"})
    compare: float = field(default=0.08, metadata={"help": "replica: to read a data version with DVC"})
    load: float = field(default=0.028, metadata={"help": "replica: to load, test and warm up a model"})
    refusal: float = field(default=3.0, metadata={"help": "replica: to give up on a registry that is down"})
    megabytes: float = field(default=0.33, metadata={"help": "model: MB of one package"})
    bandwidth: float = field(default=125.0, metadata={"help": "network of the head node and of the registry: MB/s"})


@dataclass(frozen=True)
class _SlowFactory:
    """Loads a classifier after the time that loading, golden batch and warm-up take on a replica's CPU."""

    factory: ClassifierFactory
    seconds: float

    def __call__(self) -> Classifier:
        CLOCK.wait(self.seconds)
        return self.factory()


class SlowStore(MemoryModelStore):
    """The model registry: lookups and downloads queue for its workers. It is down until `up_at`."""

    def __init__(self, costs: Costs) -> None:
        super().__init__()
        self._costs = costs
        self.up_at = 0.0
        self.workers, self.network = Station(costs.registry_workers), Station()
        self.lookups = self.downloads = 0

    def resolve(self, uri: str) -> ModelVersion:
        self._request(self._costs.alias if "@" in uri else self._costs.version)
        self.lookups += 1
        return super().resolve(uri)

    def versions(self, name: str) -> list[ModelVersion]:
        self._request(self._costs.alias)
        self.lookups += 1
        return super().versions(name)

    def download(self, version: ModelVersion) -> ModelPackage:
        for _ in range(self._costs.download_requests):
            # Each of them queues again, behind the requests of other replicas.
            self._request(self._costs.download / self._costs.download_requests)
        self.network.spend(self._costs.megabytes / self._costs.bandwidth)
        self.downloads += 1
        return self.package(version)

    def package(self, version: ModelVersion) -> ModelPackage:
        """Return a package that takes its time to load, without a request."""
        package = super().download(version)
        return replace(package, factory=_SlowFactory(package.factory, self._costs.load))

    def _request(self, seconds: float) -> None:
        if CLOCK.now < self.up_at:
            CLOCK.wait(self._costs.refusal)
            raise StoreUnavailable("the model registry is down")
        self.workers.spend(seconds)


class SlowRegistry(MemoryDataRegistry):
    """The data registry: clones queue for the Git server's cores. Reading a clone takes each replica's own time."""

    def __init__(self, costs: Costs) -> None:
        super().__init__()
        self._costs = costs
        self.cores = Station(costs.git_workers)

    def resolve(self, version: str | None = None) -> DatasetVersion:
        self.cores.spend(self._costs.git)
        CLOCK.wait(self._costs.compare)
        return super().resolve(version)


class SlowMemory(MemoryServingMemory):
    """The actor: one call at a time. A model then passes the network of the head node."""

    def __init__(self, costs: Costs) -> None:
        super().__init__(clock=lambda: CLOCK.now)
        self._costs = costs
        self.gcs, self.actor, self.inbound, self.outbound = Station(), Station(), Station(), Station()
        self.sent_models = 0

    def expect(self, desired: str) -> None:
        self._ask(lambda: super(SlowMemory, self).expect(desired))

    def pinned(self, desired: str, max_age: float | None = None) -> str | None:
        return self._ask(lambda: super(SlowMemory, self).pinned(desired, max_age))

    def pin(self, desired: str, uri: str) -> None:
        self._ask(lambda: super(SlowMemory, self).pin(desired, uri))

    def remember(self, model: KeptModel) -> None:
        self._ask(lambda: super(SlowMemory, self).remember(model), received=self._costs.megabytes)

    def last_good_id(self) -> tuple[str, bool] | None:
        return self._ask(lambda: super(SlowMemory, self).last_good_id())

    def last_good(self, uri: str | None = None) -> KeptModel | None:
        return self._ask(lambda: super(SlowMemory, self).last_good(uri))

    def _ask(self, question: Callable[[], T], received: float = 0.0) -> T:
        self.gcs.spend(self._costs.name)

        def answer() -> tuple[T, float]:
            found = question()
            moved = received + (self._costs.megabytes if isinstance(found, KeptModel) else 0.0)
            return found, self._costs.call + moved * self._costs.copy

        deadline = CLOCK.now + ACTOR_PATIENCE

        def transfer() -> tuple[None, float]:
            # Ray does not send an object that nobody waits for any more.
            if CLOCK.now > deadline:
                return None, 0.0
            self.sent_models += 1
            return None, self._costs.megabytes / self._costs.bandwidth

        def call() -> T:
            if received:
                self.inbound.spend(received / self._costs.bandwidth)
            found = self.actor.serve(answer)
            if isinstance(found, KeptModel):
                self.outbound.serve(transfer)
            return found

        return VirtualCalls().run("the actor", call, ACTOR_PATIENCE)
