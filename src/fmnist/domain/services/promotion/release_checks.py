"""What a staged version needs before it is released: a decision, a test and an approval that count on this champion."""

from fmnist.domain.model.errors import Conflict, NotReady, Remedy
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import TEST_LIMITS
from fmnist.domain.model.promotion.records import AcceptanceRecord, Approval, DecisionRecord
from fmnist.domain.services.promotion.state import PromotionState


def check_ready(state: PromotionState, staged: ModelVersion, *, manual: bool) -> None:
    """See that the staged version may be released; `manual` asks for a person's approval, too.

    Raises:
        NotReady: it may not; the message names all that is missing, and why.
        Conflict: it was compared with another champion, or a rollback is not finished.
    """
    decision = state.decision(staged)
    if decision is None:
        raise NotReady(
            f"{staged.uri} has no decision that lets it be released",
            Remedy.COMPARE_AND_STAGE,
        )
    if not decision.decision.promoted:
        raise NotReady(f"{staged.uri} may not be released, {decision.decision.message}")
    check_champion(state, decision)
    acceptance = AcceptanceRecord.of(staged)
    if acceptance is not None and not acceptance.passed:
        raise NotReady(f"{staged.uri} may not be released, its test {acceptance.message}")
    missing = {Remedy.TEST: missing_test(state, staged)}
    if manual:
        missing[Remedy.APPROVE] = missing_approval(state, staged)
    if told := {remedy: text for remedy, text in missing.items() if text}:
        raise NotReady(f"{staged.uri} {'; '.join(told.values())}", *told)


def missing_test(state: PromotionState, staged: ModelVersion) -> str:
    """Say why no test of the staged version counts; empty where one does."""
    record = AcceptanceRecord.of(staged)
    if record is None:
        return "is not tested"
    why = state.basis(staged).changed_since(record.basis, TEST_LIMITS)
    return why and f"is not tested as things are, its test {why}"


def missing_approval(state: PromotionState, staged: ModelVersion) -> str:
    """Say why no approval of the staged version counts; empty where one does."""
    record = Approval.of(staged)
    if record is None:
        return "is not approved"
    why = state.basis(staged).changed_since(record.basis)
    return why and f"is not approved as things are, its approval by {record.by} {why}"


def check_champion(state: PromotionState, decision: DecisionRecord) -> None:
    """See that the champion is the one that the decision is about, and that nothing is under way with it.

    Raises:
        Conflict: it is not.
    """
    found = state.champion.uri if state.champion else None
    if found != decision.champion:
        raise Conflict(
            f"{decision.version} was compared with {decision.champion or 'no champion'}, and the champion is "
            f"{found or 'absent'} now: compare it again, and then stage and test it again"
        )
    check_rollback(state)


def check_rollback(state: PromotionState) -> None:
    """See that no rollback has broken off between the aliases.

    Raises:
        Conflict: one has.
    """
    begun = state.open_rollback
    if begun is not None and not begun.only_its_end_is_missing:
        raise Conflict(f"a rollback of {begun.taken_back.uri} was begun and not finished", Remedy.ROLL_BACK)
