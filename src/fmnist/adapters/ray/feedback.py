"""The feedback of all replicas of a deployment: one actor on the head node reads and writes the objects."""

from collections.abc import Sequence

from fmnist.adapters.fsspec.feedback import ObjectFeedback
from fmnist.adapters.parquet.storage import S3Settings
from fmnist.adapters.ray.shared_actor import SharedActor
from fmnist.domain.model.traffic.feedback import Answer, Labelling, RealizedAccuracy, TrueClass
from fmnist.ports.feedback import Feedback

# Raise the number when a value or a method changes: an actor of an earlier release may still run on the cluster.
_ACTOR = "feedback-2"


class RayFeedback(Feedback):
    """The feedback of the application `name` in `place`, shared by all replicas with this name on a cluster.

    A directory is one of the head node. `s3` has no keys: the actor takes them from its own environment.
    """

    def __init__(self, name: str, place: str, s3: S3Settings) -> None:
        self._actor = SharedActor(ObjectFeedback, f"{_ACTOR}:{name}:{place}", place, s3)

    def add(self, answers: Sequence[Answer]) -> None:
        self._actor.ask("add", answers)

    def label(self, given: Sequence[TrueClass], milliseconds: int) -> Labelling:
        outcome: Labelling = self._actor.ask("label", given, milliseconds)
        return outcome

    def accuracy(self, model_uri: str, since: int = 0) -> RealizedAccuracy | None:
        found: RealizedAccuracy | None = self._actor.ask("accuracy", model_uri, since)
        return found
