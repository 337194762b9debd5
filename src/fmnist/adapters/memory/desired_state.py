"""`DesiredState` as a list, for tests of code that deploys."""

from fmnist.domain.model.errors import Conflict
from fmnist.ports.desired_state import Desired, DesiredState


class MemoryDesiredState(DesiredState):
    """A desired state that names no model yet, and accepts any image. `written` lists (model URI, image, message).

    Example:
        >>> state = MemoryDesiredState()
        >>> state.write("models:/prod.toy/1", None, after=state.read().revision, message="first").revision
        '1'
    """

    def __init__(self) -> None:
        self.written: list[tuple[str, str | None, str]] = []

    def read(self) -> Desired:
        model_uri = self.written[-1][0] if self.written else None
        return Desired(model_uri=model_uri, revision=str(len(self.written)))

    def write(self, model_uri: str, image: str | None, *, after: str, message: str) -> Desired:
        now = self.read().revision
        if after != now:
            raise Conflict(f"the desired state is at revision {now}, and no longer at {after}")
        before = self.written[-1][:2] if self.written else (None, None)
        if (model_uri, image or before[1]) != before:
            self.written.append((model_uri, image or before[1], message))
        return self.read()
