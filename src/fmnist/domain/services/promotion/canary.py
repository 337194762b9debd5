"""Leads a canary from its start to its end. Each command is one decision, and a commit to the desired state.

It writes nothing to the model store, and needs no lock: the desired state refuses a writer who was overtaken.
"""

import logging
from dataclasses import dataclass, field

from fmnist.domain.model.errors import InvalidSetting, NotReady, Remedy
from fmnist.domain.model.promotion.canary import Canary
from fmnist.domain.model.promotion.canary_policy import Action, CanaryPolicy, Finding, Guard
from fmnist.domain.model.promotion.records import AcceptanceRecord
from fmnist.domain.model.promotion.stages import StagedName
from fmnist.domain.model.text import one_line
from fmnist.domain.model.traffic.canary_report import CanaryReport, CanaryState
from fmnist.domain.services.promotion.deploy import until_written
from fmnist.domain.services.promotion.release_checks import missing_test
from fmnist.domain.services.promotion.state import PromotionState, check_said
from fmnist.ports.desired_state import Desired, DesiredState
from fmnist.ports.model_store import ModelStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CanaryDecision:
    """What was decided, by which guards, and the desired state before and after.

    Attributes:
        canary: the canary that the decision is about.
        reason: one line for a person.
    """

    action: Action
    canary: Canary
    reason: str
    guards: tuple[Guard, ...]
    before: Desired
    after: Desired

    @property
    def changed(self) -> bool:
        """Whether the desired state was changed."""
        return self.before.revision != self.after.revision

    @property
    def is_final(self) -> bool:
        """Whether there is nothing more to decide."""
        return self.action in (Action.FINISH, Action.ABORT)

    @property
    def message(self) -> str:
        """The decision with its reason in one line."""
        after = self.after.canary
        becomes = "gets no requests" if after is None else f"gets {after.percent} %"
        return one_line(f"{self.action}: {self.canary.model_uri} {becomes}: {self.reason}")


@dataclass(frozen=True, slots=True)
class CanaryRelease:
    """Starts, judges and ends canaries of the model `source`.

    `step`, `abort` and `finish` take the URI of the version that they are meant for; None: whatever is there.
    """

    store: ModelStore
    state: DesiredState
    source: StagedName
    policy: CanaryPolicy = field(default_factory=CanaryPolicy)

    def start(self, uri: str | None = None, *, by: str) -> CanaryDecision:
        """Give the staged version at `uri` (None: the candidate) the first share of the requests.

        Raises:
            ModelNotFound: there is no such version, or no candidate.
            NotReady: the version has not passed its test, or nothing is served yet.
            InvalidSetting: another canary is there, or `by` is empty.
            Conflict, StoreUnavailable: as `ModelDeployment.run`.
        """
        check_said("a canary", by=by)
        promotion = PromotionState.read(self.store, self.source)
        staged = promotion.staged(uri)
        if why := missing_test(promotion, staged):
            raise NotReady(f"{staged.uri} {why}", Remedy.TEST)
        record = AcceptanceRecord.of(staged)
        if record is None or not record.passed:
            raise NotReady(f"{staged.uri} may have no requests: its test {record.message if record else 'is missing'}")
        canary = Canary(staged.uri, self.policy.steps[0])

        def write() -> CanaryDecision:
            before = self.state.read()
            if before.model_uri is None:
                raise NotReady("no model is deployed that the canary could be compared with")
            there = before.canary
            if there is not None and there.percent:  # one of 0 % is none
                if there.model_uri == canary.model_uri:
                    return self._wait(there, "its canary has started already", before)
                first = "release or abort it first" if there.percent == 100 else "finish or abort it first"
                raise InvalidSetting(f"the canary {there} is not over: {first}")
            reason = f"it is compared with {before.model_uri}"
            return self._write(Action.START, canary, canary, reason, (), before, by)

        return _logged(until_written(write))

    def step(self, report: CanaryReport, uri: str | None = None, *, by: str) -> CanaryDecision:
        """Judge the canary by what the service reports: abort it, wait, or give it its next share.

        Raises:
            NotReady: there is no canary, or that of another version.
            InvalidSetting: `by` is empty.
            Conflict, StoreUnavailable: as `ModelDeployment.run`.
        """
        check_said("a step", by=by)

        def write() -> CanaryDecision:
            before, canary = self._read(uri)
            if canary.percent == 100:
                return CanaryDecision(Action.FINISH, canary, "it is finished already", (), before, before)
            if canary.percent and (why := self._not_there(report, before, canary)):
                return self._wait(canary, why, before)
            if report.state == CanaryState.FAILED:
                return self._write(Action.ABORT, canary, None, f"it does not load: {report.reason}", (), before, by)
            guards: tuple[Guard, ...] = ()
            if report.champion is not None and report.challenger is not None:
                guards = self.policy.judge(report.champion, report.challenger, report.compared, report.agreed)
            if told := _told(guards, Finding.TRIPPED):
                return self._write(Action.ABORT, canary, None, told, guards, before, by)
            if told := _told(guards, Finding.OPEN):
                return self._wait(canary, told, before, guards)
            share = self.policy.after(canary.percent)
            action = Action.FINISH if share == 100 else Action.ADVANCE
            reason = f"no guard has tripped at {canary.percent} %"
            return self._write(action, canary, Canary(canary.model_uri, share), reason, guards, before, by)

        return _logged(until_written(write))

    def abort(self, uri: str | None = None, *, by: str, reason: str) -> CanaryDecision:
        """Take all requests from the challenger; raises as `step` does, also if `reason` is empty."""
        return self._end(Action.ABORT, uri, by, reason)

    def finish(self, uri: str | None = None, *, by: str, reason: str) -> CanaryDecision:
        """Give the challenger all requests until its release; raises as `abort` does."""
        return self._end(Action.FINISH, uri, by, reason)

    def _end(self, action: Action, uri: str | None, by: str, reason: str) -> CanaryDecision:
        check_said("the end of a canary", by=by, reason=reason)

        def write() -> CanaryDecision:
            before, canary = self._read(uri)
            to = None if action is Action.ABORT else Canary(canary.model_uri, 100)
            return self._write(action, canary, to, one_line(reason.strip()), (), before, by)

        return _logged(until_written(write))

    def _read(self, uri: str | None) -> tuple[Desired, Canary]:
        before = self.state.read()
        if before.canary is None or before.model_uri is None:
            raise NotReady(f"there is no canary in revision {before.revision}")
        if uri is not None and uri != before.canary.model_uri:
            raise NotReady(f"the canary in revision {before.revision} is {before.canary}, and not {uri}")
        return before, before.canary

    def _not_there(self, report: CanaryReport, desired: Desired, canary: Canary) -> str:
        """Return why the report is not about this canary, or not complete yet; empty if it is."""
        champion = self.store.resolve(str(desired.model_uri)).uri
        found = (report.model_uri, report.challenger_uri, report.percent)
        if found != (champion, canary.model_uri, canary.percent):
            there = f"{report.challenger_uri or 'no challenger'} at {report.percent} % beside {report.model_uri}"
            return f"the service does not follow revision {desired.revision} yet: it has {there}"
        if report.state == CanaryState.FAILED or (report.champion is not None and report.challenger is not None):
            return ""
        return f"the challenger is loading{f': {report.reason}' if report.reason else ''}"

    def _wait(self, canary: Canary, reason: str, before: Desired, guards: tuple[Guard, ...] = ()) -> CanaryDecision:
        return CanaryDecision(Action.WAIT, canary, reason, guards, before, before)

    def _write(
        self,
        action: Action,
        canary: Canary,
        to: Canary | None,
        reason: str,
        guards: tuple[Guard, ...],
        before: Desired,
        by: str,
    ) -> CanaryDecision:
        title = f"No canary of {canary.model_uri}" if to is None else f"Canary {to}"
        told = "\n".join(
            [one_line(reason), *(one_line(f"{each.name}: {each.finding}: {each.reason}") for each in guards)]
        )
        message = f"{title}\n\n{told}\n\nDeployed-by: {one_line(by.strip())}"
        model_uri = before.model_uri or ""
        after = self.state.write(model_uri, None, canary=to, after=before.revision, message=message)
        return CanaryDecision(action, canary, reason, guards, before, after)


def _told(guards: tuple[Guard, ...], finding: Finding) -> str:
    return "; ".join(f"{each.name}: {each.reason}" for each in guards if each.finding is finding)


def _logged(decision: CanaryDecision) -> CanaryDecision:
    logger.info("%s", decision.message)
    return decision
