"""Marks a run that an error or an interrupt has ended."""

import logging

from fmnist.domain.model.errors import FmnistError
from fmnist.domain.services.bounded_calls import BoundedCalls
from fmnist.ports.tracker import RunStatus, Tracker

logger = logging.getLogger(__name__)

_MARK_SECONDS = 20  # a process that is told to end often has 30 s


def mark_ended(tracker: Tracker, run_id: str, reason: BaseException) -> None:
    """Mark the run KILLED after an interrupt, else FAILED. A failure to do so is only logged: `reason` says more."""
    status = RunStatus.KILLED if isinstance(reason, KeyboardInterrupt) else RunStatus.FAILED
    try:
        BoundedCalls().run("its status", lambda: tracker.set_status(run_id, status), _MARK_SECONDS)
    except FmnistError as error:
        logger.warning("run %s could not be marked %s: %s", run_id, status, error)
