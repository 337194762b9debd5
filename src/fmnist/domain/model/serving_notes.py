"""What the replicas of a deployment have noted in common, as plain values, wherever it is kept."""

import time
from collections.abc import Callable


class ServingNotes:
    """One pin, and one model as bytes, with the rules of `ServingMemory`. For one caller at a time.

    Args:
        clock: seconds that only ever grow, for the age of the pin.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._expected: str | None = None
        self._pin: tuple[str, str, float] | None = None
        self._kept: tuple[str, bytes] | None = None

    def expect(self, desired: str) -> None:
        """As `ServingMemory.expect`."""
        self._expected = desired
        if self._pin is not None and self._pin[0] != desired:
            self._pin = None

    def pinned(self, desired: str, max_age: float | None) -> str | None:
        """As `ServingMemory.pinned`."""
        if self._pin is None or self._pin[0] != desired:
            return None
        _, uri, at = self._pin
        return uri if max_age is None or self._clock() - at < max_age else None

    def pin(self, desired: str, uri: str) -> None:
        """As `ServingMemory.pin`."""
        if self._expected in (None, desired):
            self._pin = (desired, uri, self._clock())

    def remember(self, uri: str, model: bytes) -> None:
        """Keep the bytes of the model at `uri`, in place of those before."""
        self._kept = (uri, model)

    def last_good_uri(self) -> str | None:
        """Return the URI of the model that is kept, or None."""
        return self._kept and self._kept[0]

    def last_good(self) -> bytes | None:
        """Return the bytes of the model that is kept, or None."""
        return self._kept and self._kept[1]
