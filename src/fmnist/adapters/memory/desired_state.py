"""`DesiredState` as a list, for tests of code that deploys."""

from fmnist.domain.model.errors import Conflict
from fmnist.domain.model.promotion.canary import Canary
from fmnist.ports.desired_state import Desired, DesiredState


class MemoryDesiredState(DesiredState):
    """A desired state that names no model yet, and accepts any image.

    `written` lists (model URI, image, message), and `canaries` the canary of each.

    Example:
        >>> state = MemoryDesiredState()
        >>> state.write("models:/prod.toy/1", None, after=state.read().revision, message="first").revision
        '1'
    """

    def __init__(self) -> None:
        self.written: list[tuple[str, str | None, str]] = []
        self.canaries: list[Canary | None] = []

    def read(self) -> Desired:
        model_uri = self.written[-1][0] if self.written else None
        canary = self.canaries[-1] if self.canaries else None
        return Desired(model_uri=model_uri, canary=canary, revision=str(len(self.written)))

    def write(
        self, model_uri: str, image: str | None, *, canary: Canary | None = None, after: str, message: str
    ) -> Desired:
        now = self.read().revision
        if after != now:
            raise Conflict(f"the desired state is at revision {now}, and no longer at {after}")
        before = (*self.written[-1][:2], self.canaries[-1]) if self.written else (None, None, None)
        if (model_uri, image or before[1], canary) != before:
            self.written.append((model_uri, image or before[1], message))
            self.canaries.append(canary)
        return self.read()
