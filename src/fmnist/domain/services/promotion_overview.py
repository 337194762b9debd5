"""What there is to see of promotions: where every alias points, and what happened when. It reads and never writes."""

from dataclasses import dataclass

from fmnist.domain.model.promotion import StagedName
from fmnist.domain.model.promotion_records import (
    NOBODY,
    PROMOTED_AT,
    PROMOTED_BY,
    RELEASED_FROM,
    REPLACES,
    SERVING_IMAGE,
    STAGED_AT,
    STAGED_FROM,
    AcceptanceRecord,
    Approval,
    DecisionRecord,
    Rollback,
)
from fmnist.domain.model.registry import ModelVersion
from fmnist.domain.services.promotion_state import PromotionState, iso_utc
from fmnist.ports.model_store import ModelStore


@dataclass(frozen=True, slots=True)
class Standing:
    """A role, the version that has it (None: nobody), since when (ISO 8601, UTC), and where that comes from."""

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
    by: str
    detail: str


class PromotionOverview:
    """Status and history of one model."""

    def __init__(self, store: ModelStore, source: StagedName) -> None:
        self._store = store
        self._source = source

    def status(self) -> list[Standing]:
        """Return who is the newest source version, `candidate`, `champion` and `previous`."""
        state = PromotionState.read(self._store, self._source)
        newest = state.source[0] if state.source else None
        candidate, champion, previous = state.candidate, state.champion, state.previous
        champion_since = _champion_since(state, champion)
        return [
            Standing(
                str(self._source.stage), newest, iso_utc(newest.created) if newest else "", _decision_note(newest)
            ),
            Standing("candidate", candidate, _tag(candidate, STAGED_AT), _candidate_note(state)),
            Standing("champion", champion, champion_since, _champion_note(champion)),
            Standing("previous", previous, champion_since if previous else "", _previous_note(previous)),
        ]

    def history(self) -> list[Event]:
        """Return all that happened, oldest first."""
        state = PromotionState.read(self._store, self._source)
        events = [
            *(event for version in state.source for event in _source_events(version)),
            *(event for version in state.staging for event in _staging_events(version)),
            *(event for version in state.prod for event in _prod_events(version)),
        ]
        # Within one second, things are told in the order of the steps, which is that of the list.
        return sorted(events, key=lambda event: event.at)


def _source_events(version: ModelVersion) -> list[Event]:
    registered = Event(_registered(version), "registered", version.uri, "", f"run {version.run_id or 'unknown'}")
    return [
        registered,
        *(
            Event(
                record.at,
                "accepted" if record.decision.promoted else "refused",
                version.uri,
                "",
                f"against {record.champion or 'no champion'}: {record.decision.reasons}",
            )
            for record in DecisionRecord.all_of(version)
        ),
    ]


def _staging_events(version: ModelVersion) -> list[Event]:
    events = [
        Event(
            _tag(version, STAGED_AT) or iso_utc(version.created), "staged", version.uri, "", _from(version, STAGED_FROM)
        )
    ]
    events += [Event(test.at, "tested", version.uri, "", test.message) for test in AcceptanceRecord.all_of(version)]
    events += [Event(each.at, "approved", version.uri, each.by, each.reason) for each in Approval.all_of(version)]
    return events


def _prod_events(version: ModelVersion) -> list[Event]:
    finished = _tag(version, PROMOTED_AT)
    replaces = version.tags.get(REPLACES, NOBODY)
    instead = "the first one" if replaces == NOBODY else f"in place of version {replaces}"
    detail = f"{_from(version, RELEASED_FROM)}, {instead}"
    if image := _tag(version, SERVING_IMAGE):
        detail += f", served by {image}"
    what = "released" if finished else "copied"
    events = [Event(finished or _registered(version), what, version.uri, _tag(version, PROMOTED_BY), detail)]
    if undone := Rollback.of(version):
        events.append(
            Event(undone.at, "rolled back", version.uri, undone.by, f"to version {undone.to}: {undone.reason}")
        )
    return events


def _champion_since(state: PromotionState, champion: ModelVersion | None) -> str:
    if champion is None:
        return ""
    returned = [record.at for record in map(Rollback.of, state.prod) if record and record.to == champion.version]
    return max([_tag(champion, PROMOTED_AT) or _registered(champion), *returned])


def _decision_note(version: ModelVersion | None) -> str:
    record = DecisionRecord.of(version) if version else None
    if record is None:
        return "not compared yet" if version else ""
    return ("accepted" if record.decision.promoted else "refused") + f" at {record.at}"


def _candidate_note(state: PromotionState) -> str:
    candidate = state.candidate
    if candidate is None:
        return ""
    released, acceptance = state.released_copy(candidate), AcceptanceRecord.of(candidate)
    if released is not None and PROMOTED_AT in released.tags:
        return f"released as version {released.version}"
    if released is not None:
        return "its release was begun and not finished"
    if acceptance is None:
        return "not tested yet"
    if not acceptance.passed:
        return f"its test {acceptance.message}"
    approval = Approval.of(candidate)
    return f"tested, approved by {approval.by}" if approval else "tested, not approved yet"


def _champion_note(champion: ModelVersion | None) -> str:
    if champion is None:
        return ""
    if Rollback.of(champion):
        return "its rollback was begun and not finished"
    return "" if PROMOTED_AT in champion.tags else "its release was begun and not finished"


def _previous_note(previous: ModelVersion | None) -> str:
    undone = Rollback.of(previous) if previous else None
    return f"rolled back by {undone.by}: {undone.reason}" if undone else ""


def _from(version: ModelVersion, tag: str) -> str:
    return f"from {version.tags.get(tag, 'unknown')}"


def _registered(version: ModelVersion | None) -> str:
    return iso_utc(version.created) if version else ""


def _tag(version: ModelVersion | None, name: str) -> str:
    return version.tags.get(name, "") if version else ""
