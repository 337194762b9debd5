"""Shows promotions: where each alias points, and what happened when. It reads and never writes."""

from collections.abc import Iterator
from dataclasses import dataclass

from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.records import NOBODY, AcceptanceRecord, Approval, DecisionRecord, Rollback, Tag
from fmnist.domain.model.promotion.stages import StagedName
from fmnist.domain.services.promotion.release_checks import missing_approval, missing_test
from fmnist.domain.services.promotion.state import PromotionState, iso_utc
from fmnist.ports.model_store import ModelStore


@dataclass(frozen=True, slots=True)
class Standing:
    """A role, the version that has it (None: no version), since when (ISO 8601, UTC), and a note."""

    role: str
    version: ModelVersion | None
    since: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a version, at a time (ISO 8601, UTC)."""

    at: str
    what: str
    version: str
    by: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PromotionOverview:
    """Status and history of one model."""

    store: ModelStore
    source: StagedName

    def status(self) -> list[Standing]:
        """Return the newest source version, `candidate`, `champion` and `previous`, in this order."""
        state = PromotionState.read(self.store, self.source)
        newest = state.source[0] if state.source else None
        candidate, champion, previous = state.candidate, state.champion, state.previous
        staged_at = _tag(candidate, Tag.STAGED_AT) if candidate and state.is_ours(candidate) else ""
        champion_since, champion_note = _champion(state)
        return [
            Standing(str(self.source.stage), newest, iso_utc(newest.created) if newest else "", _decision_note(newest)),
            Standing("candidate", candidate, staged_at, _candidate_note(state)),
            Standing("champion", champion, champion_since, champion_note),
            Standing("previous", previous, champion_since if previous else "", _previous_note(state)),
        ]

    def history(self) -> list[Event]:
        """Return all events, oldest first."""
        state = PromotionState.read(self.store, self.source)
        events = [
            *(event for version in reversed(state.source) for event in _source_events(version)),
            *(event for version in reversed(state.staging) for event in _staging_events(state, version)),
            *(event for version in reversed(state.prod) for event in _prod_events(state, version)),
        ]
        # Records of earlier versions have no milliseconds. The stable sort keeps the order of the steps in a second.
        return sorted(events, key=lambda event: event.at.removesuffix("Z"))


def _source_events(version: ModelVersion) -> Iterator[Event]:
    yield Event(iso_utc(version.created), "registered", version.uri, detail=f"run {version.run_id or 'unknown'}")
    for record in DecisionRecord.all_of(version):
        what = "accepted" if record.decision.promoted else "refused"
        detail = f"against {record.champion or 'no champion'}: {record.decision.reasons}"
        yield Event(record.at, what, version.uri, detail=detail)


def _staging_events(state: PromotionState, version: ModelVersion) -> Iterator[Event]:
    if state.is_ours(version):
        yield Event(version.tags[Tag.STAGED_AT], "staged", version.uri, detail=f"from {version.tags[Tag.STAGED_FROM]}")
    else:
        yield _foreign_event(version)
    for test in AcceptanceRecord.all_of(version):
        yield Event(test.at, "tested", version.uri, detail=test.message)
    for approval in Approval.all_of(version):
        yield Event(approval.at, "approved", version.uri, approval.by, approval.reason)


def _prod_events(state: PromotionState, version: ModelVersion) -> Iterator[Event]:
    yield _release_event(version) if state.is_ours(version) else _foreign_event(version)
    if undone := Rollback.of(version):
        yield Event(undone.at, "rolled back", version.uri, undone.by, f"to version {undone.to}: {undone.reason}")


def _release_event(version: ModelVersion) -> Event:
    finished = _tag(version, Tag.PROMOTED_AT)
    replaces = version.tags.get(Tag.REPLACES, NOBODY)
    instead = "the first one" if replaces == NOBODY else f"in place of version {replaces}"
    detail = f"from {version.tags[Tag.RELEASED_FROM]}, {instead}"
    if image := _tag(version, Tag.SERVING_IMAGE):
        detail += f", served by {image}"
    what = "released" if finished else "copied"
    return Event(finished or iso_utc(version.created), what, version.uri, _tag(version, Tag.PROMOTED_BY), detail)


def _foreign_event(version: ModelVersion) -> Event:
    detail = f"by another tool: its source and what it replaced are not recorded; run {version.run_id or 'unknown'}"
    return Event(iso_utc(version.created), "registered", version.uri, detail=detail)


def _champion(state: PromotionState) -> tuple[str, str]:
    """Return since when the champion has this role, as far as records say, and a note."""
    champion, begun = state.champion, state.open_rollback
    if champion is None:
        return "", ""
    returned = [record.at for record in map(Rollback.of, state.prod) if record and record.to == champion.version]
    since = max([_tag(champion, Tag.PROMOTED_AT) or iso_utc(champion.created), *returned])
    if begun is not None and not begun.only_its_end_is_missing:
        return since, f"the rollback of {begun.taken_back.uri} was started but not finished"
    if not state.is_ours(champion):
        return max(returned, default=""), _foreign_note(champion)
    if Tag.PROMOTED_AT not in champion.tags:
        return since, "its release was started but not finished"
    recorded, _ = state.on_record
    if recorded is not None and recorded != champion:
        return "", f"another tool made it champion: the recorded champion is version {recorded.version}"
    return since, ""


def _foreign_note(version: ModelVersion) -> str:
    return f"another tool registered it at {iso_utc(version.created)}: fmnist has no record of that"


def _decision_note(version: ModelVersion | None) -> str:
    record = DecisionRecord.of(version) if version else None
    if record is None:
        return "not compared yet" if version else ""
    return ("accepted" if record.decision.promoted else "refused") + f" at {record.at}"


def _candidate_note(state: PromotionState) -> str:
    candidate = state.candidate
    if candidate is None:
        return ""
    if released := state.released_copy(candidate):
        is_over = Tag.PROMOTED_AT in released.tags
        return f"released as version {released.version}" if is_over else "its release was started but not finished"
    progress = _progress(state, candidate)
    return progress if state.is_ours(candidate) else f"{_foreign_note(candidate)}; {progress}"


def _progress(state: PromotionState, candidate: ModelVersion) -> str:
    """Return how far a candidate is that was not released yet."""
    newest, acceptance = state.decision(candidate), AcceptanceRecord.of(candidate)
    if newest is not None and not newest.decision.promoted:
        return f"its newest comparison says {newest.decision.message}"
    if acceptance is None:
        return "not tested yet"
    if not acceptance.passed:
        return f"its test {acceptance.message}"
    if untested := missing_test(state, candidate):
        return untested
    approval = Approval.of(candidate)
    if approval is None:
        return "tested, not approved yet"
    return f"tested, {missing_approval(state, candidate) or f'approved by {approval.by}'}"


def _previous_note(state: PromotionState) -> str:
    previous = state.previous
    if previous is None:
        return ""
    if undone := Rollback.of(previous):
        return f"rolled back by {undone.by}: {undone.reason}"
    return "" if state.is_ours(previous) else _foreign_note(previous)


def _tag(version: ModelVersion | None, name: str) -> str:
    return version.tags.get(name, "") if version else ""
