"""What is written down of a process that was started, so that whoever comes later finds it, or what it has left.

It never takes a stranger for it: the system gives the number of a process that ended to another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import psutil

from stack.process import family, stop_family

# A clock that is set while a process runs moves the time at which it was made. By so much, it is still the same one.
_CLOCK_SECONDS = 5


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process that was started in a session of its own, as it is known by.

    Attributes:
        pid: its number, and that of its session.
        created: when it was made, in seconds since 1970.
    """

    pid: int
    created: float

    @classmethod
    def of(cls, process: psutil.Process) -> Self:
        """Return the record of a process that was just started; `dataclasses.asdict` makes a mapping of it."""
        return cls(process.pid, process.create_time())

    @classmethod
    def read(cls, mapping: Mapping[str, Any]) -> Self | None:
        """Return the record that a mapping holds, among whatever else; None when it holds none."""
        return cls(int(mapping["pid"]), float(mapping["created"])) if "pid" in mapping else None

    def find(self) -> tuple[psutil.Process | None, list[psutil.Process]]:
        """Return the process, or None when it is gone, and all that runs of its family, itself among them.

        A number that was given away again, or that is of a time before the machine started, is nobody's.
        """
        earliest, latest = self.created - _CLOCK_SECONDS, self.created + _CLOCK_SECONDS
        try:
            ours = psutil.Process(self.pid).create_time() <= latest
        except psutil.NoSuchProcess:
            ours = psutil.boot_time() <= latest
        members = family(self.pid) if ours else []
        if any(each.create_time() < earliest for each in members):
            return None, []
        return next((each for each in members if each.pid == self.pid), None), members

    def stop(self) -> bool:
        """End all that runs of its family; return whether anything did."""
        _, members = self.find()
        stop_family(self.pid, members)
        return bool(members)
