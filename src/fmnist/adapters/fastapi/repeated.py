"""Work that a thread repeats as long as the process lives. A failure is logged once, until its reason changes."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping

from fmnist.domain.model.errors import FmnistError
from fmnist.domain.services.serving.load import short_reason

logger = logging.getLogger(__name__)


def repeat(name: str, seconds: float, work: Mapping[str, Callable[[int], None]]) -> None:
    """Start a thread that does all work after each pause of so many seconds. The work gets the number of the round.

    One failure keeps no other work from being done. Logs name the work by its key.
    """
    threading.Thread(target=_repeat, args=(seconds, work), name=name, daemon=True).start()


def _repeat(seconds: float, work: Mapping[str, Callable[[int], None]]) -> None:
    faults: dict[str, str] = {}
    for times in itertools.count(1):
        time.sleep(seconds)
        for what, do in work.items():
            try:
                do(times)
                faults.pop(what, None)
            except Exception as error:
                reason = short_reason(error)
                if faults.get(what) != reason:
                    faults[what] = reason
                    unforeseen = None if isinstance(error, FmnistError) else error
                    logger.warning("%s failed, and is tried every %g s: %s", what, seconds, reason, exc_info=unforeseen)
