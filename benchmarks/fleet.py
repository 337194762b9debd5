"""Simulates a fleet of replicas that start, or load a new model, at the same moment. How long until all of them serve?

Each replica runs the real code of `fmnist.domain.services.serving`, with its retries and time limits. Queues and costs
of the shared parts are simulated in virtual time (`fleet_parts.py`).
"""

import argparse
import logging
import statistics
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
from fleet_parts import Costs, SlowMemory, SlowRegistry, SlowStore
from matplotlib.figure import Figure
from reporting import append, machine, print_table
from virtual_time import CLOCK, VirtualCalls

from fmnist.adapters.memory.classifier import save_means
from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.adapters.memory.serving_memory import MemoryServingMemory
from fmnist.domain.model.data.images import CLASS_NAMES, PIXELS
from fmnist.domain.services.serving.load import ModelSources
from fmnist.domain.services.serving.reload import ModelServing
from fmnist.ports.model_store import TrainedWeights
from fmnist.ports.serving_memory import KeptModel
from fmnist.testing.data import toy_info, toy_splits

RESULTS = Path(__file__).parent / "results" / "fleet.jsonl"
NAME = "prod.fleet"
CHAMPION, FIRST, SECOND = f"models:/{NAME}@champion", f"models:/{NAME}/1", f"models:/{NAME}/2"
# `_RETRY_SECONDS` of the service: a replica without its model tries again.
RETRY_SECONDS = 15.0
POLL_SECONDS = 30.0
OUTAGE_SECONDS = 60.0
# A replica that does not serve by then never will.
HORIZON_SECONDS = 600.0


class Fleet:
    """A cluster with its registries, its actor and `size` replicas. The alias points at version 1."""

    def __init__(self, costs: Costs, size: int) -> None:
        self.store, self.registry, self.memory = SlowStore(costs), SlowRegistry(costs), SlowMemory(costs)
        self.started, self.expected = CLOCK.now, FIRST
        self.served: dict[int, float] = {}
        normalization = self.registry.add("1.0.0", toy_splits()).normalization
        with tempfile.TemporaryDirectory(prefix="fmnist-benchmark-") as folder:
            weights = Path(folder) / "means"
            save_means(weights, np.zeros((len(CLASS_NAMES), PIXELS), np.float32))
            info, golden = toy_info(normalization=normalization), np.zeros((1, 28, 28), np.uint8)
            for _ in (FIRST, SECOND):
                self.store.save("0" * 32, NAME, TrainedWeights("cnn", str(weights)), info, golden)
        self.promote(FIRST)
        self.replicas = [self._replica(place) for place in range(size)]

    def promote(self, uri: str) -> None:
        """Let the alias point at this version."""
        self.store.label(MemoryModelStore.resolve(self.store, uri), alias="champion")

    def keep(self, *, pinned: bool) -> None:
        """Let the memory have version 1 already, as after the start of another replica."""
        package = self.store.package(MemoryModelStore.resolve(self.store, FIRST))
        MemoryServingMemory.remember(self.memory, KeptModel.of(package, compared=True))
        if pinned:
            MemoryServingMemory.pin(self.memory, CHAMPION, FIRST)

    def start(self, desired: str = CHAMPION, *, spread: float = 0.0) -> None:
        """Start all replicas, the last one `spread` seconds after the first, and run until all serve."""
        for place, replica in enumerate(self.replicas):
            delay = spread * place / len(self.replicas)
            CLOCK.start(partial(replica.deploy, desired), delay)
            CLOCK.start(partial(self._keep_up, place, RETRY_SECONDS, None), delay + RETRY_SECONDS)
        CLOCK.run()

    def begin_again(self) -> None:
        """Forget what was measured. From now on, version 2 is expected."""
        self.started, self.expected, self.served = CLOCK.now, SECOND, {}
        for station in (self.store.workers, self.registry.cores, self.memory.actor):
            station.busy_seconds = 0.0
        self.store.lookups = self.store.downloads = self.memory.sent_models = 0

    def poll(self) -> None:
        """Let each replica check the alias every `POLL_SECONDS`, at a time of its own, until all serve."""
        for place in range(len(self.replicas)):
            first = POLL_SECONDS * place / len(self.replicas)
            CLOCK.start(partial(self._keep_up, place, POLL_SECONDS, POLL_SECONDS), first)
        CLOCK.run()

    def _replica(self, place: int) -> ModelServing:
        def observe(uri: str, error: str | None) -> None:
            if error is None and uri == self.expected:
                self.served.setdefault(place, CLOCK.now - self.started)

        sources = ModelSources(
            store=self.store, registry=self.registry, memory=self.memory, model_name=NAME, calls=VirtualCalls()
        )
        return ModelServing(sources, observe)

    def _keep_up(self, place: int, pause: float, max_age: float | None) -> None:
        """Do what a replica does beside its deploy, until it serves."""
        while place not in self.served and CLOCK.now - self.started < HORIZON_SECONDS:
            self.replicas[place].poll(max_age)
            CLOCK.wait(pause)


def first_start(fleet: Fleet) -> None:
    fleet.start()


def first_start_of_a_version(fleet: Fleet) -> None:
    fleet.start(FIRST)


def start_one_after_another(fleet: Fleet, seconds: float) -> None:
    fleet.start(spread=seconds)


def restart(fleet: Fleet) -> None:
    fleet.keep(pinned=False)
    fleet.start()


def scale_up(fleet: Fleet) -> None:
    fleet.keep(pinned=True)
    fleet.start()


def restart_without_registry(fleet: Fleet) -> None:
    fleet.store.up_at = float("inf")
    restart(fleet)


def first_start_without_registry(fleet: Fleet) -> None:
    fleet.store.up_at = fleet.started + OUTAGE_SECONDS
    fleet.start()


def deploy_to_running(fleet: Fleet, seconds: float = 0.0) -> None:
    scale_up(fleet)
    fleet.begin_again()
    fleet.start(SECOND, spread=seconds)


def promote_while_polling(fleet: Fleet) -> None:
    scale_up(fleet)
    fleet.begin_again()
    fleet.promote(SECOND)
    fleet.poll()


CASES: dict[str, Callable[[Fleet], None]] = {
    "first start, by alias": first_start,
    "first start, by version": first_start_of_a_version,
    "first start, within 10 s": partial(start_one_after_another, seconds=10.0),
    "first start, within 60 s": partial(start_one_after_another, seconds=60.0),
    "restart, model in the memory": restart,
    "scaled up from one replica": scale_up,
    "restart, registry down": restart_without_registry,
    f"first start, registry down for {OUTAGE_SECONDS:.0f} s": first_start_without_registry,
    "new version to running replicas": deploy_to_running,
    "new version, within 10 s": partial(deploy_to_running, seconds=10.0),
    f"alias moved, polled every {POLL_SECONDS:.0f} s": promote_while_polling,
}


@dataclass(frozen=True)
class Outcome:
    """What one case took. `seconds` is when each replica served, in order."""

    seconds: list[float]
    lookups: int
    downloads: int
    sent_megabytes: float
    registry_busy: float
    git_busy: float
    actor_busy: float

    def row(self, title: str) -> list[str]:
        """Return the cells of the table."""
        if not self.seconds:
            return [title, "none", *["-"] * 3, f"{self.lookups:,}", f"{self.downloads:,}", *["-"] * 4]
        late = self.seconds[max(0, int(0.99 * len(self.seconds)) - 1)]
        times = (statistics.median(self.seconds), late, self.seconds[-1])
        return [
            title,
            f"{len(self.seconds):,}",
            *(f"{value:,.1f}" for value in times),
            f"{self.lookups:,}",
            f"{self.downloads:,}",
            f"{self.sent_megabytes:,.0f}",
            f"{self.registry_busy:,.1f}",
            f"{self.git_busy:,.1f}",
            f"{self.actor_busy:,.1f}",
        ]


HEADINGS = [
    *("case", "serve", "median s", "99 % s", "last s", "lookups", "downloads", "actor sent MB"),
    *("registry busy s", "Git busy s", "actor busy s"),
]


def simulate(run: Callable[[Fleet], None], costs: Costs, size: int) -> Outcome:
    fleet = Fleet(costs, size)
    run(fleet)
    return Outcome(
        seconds=sorted(fleet.served.values()),
        lookups=fleet.store.lookups,
        downloads=fleet.store.downloads,
        sent_megabytes=fleet.memory.sent_models * costs.megabytes,
        registry_busy=fleet.store.workers.busy_seconds,
        git_busy=fleet.registry.cores.busy_seconds,
        actor_busy=fleet.memory.actor.busy_seconds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=1000, help="size of the fleet (default: 1000)")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="cases to run (default: all)")
    parser.add_argument("--picture", type=Path, help="draw the replicas that serve over time into this file")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file to append results to, as JSON lines")
    for cost in fields(Costs):
        text = f"{cost.metadata['help']} (default: {cost.default})"
        parser.add_argument(
            f"--{cost.name.replace('_', '-')}", type=type(cost.default), default=cost.default, help=text
        )
    options = parser.parse_args()

    # A refused deploy is expected here, and a thousand replicas would log it.
    logging.disable(logging.CRITICAL)
    threading.stack_size(512 * 1024)
    costs = Costs(**{cost.name: getattr(options, cost.name) for cost in fields(Costs)})
    outcomes = {title: simulate(CASES[title], costs, options.replicas) for title in options.only}
    print_table([HEADINGS, *(outcome.row(title) for title, outcome in outcomes.items())])
    if options.picture is not None:
        draw(outcomes, options.replicas, options.picture)
    record = {"machine": machine("fmnist"), "replicas": options.replicas, "costs": asdict(costs)}
    append(options.output, {**record, "cases": {title: asdict(outcome) for title, outcome in outcomes.items()}})


def draw(outcomes: dict[str, Outcome], size: int, path: Path) -> None:
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.subplots()
    for title, outcome in outcomes.items():
        axes.step(outcome.seconds, range(1, len(outcome.seconds) + 1), where="post", label=title)
    axes.set(xlabel="seconds", ylabel="replicas that serve", xlim=(0, None), ylim=(0, size * 1.02))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
