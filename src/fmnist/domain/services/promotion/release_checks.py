"""Checks what a release needs: a decision, a test and an approval that are valid for the current champion."""

from fmnist.domain.model.errors import Conflict, NotReady, Remedy
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import TEST_LIMITS
from fmnist.domain.model.promotion.records import AcceptanceRecord, Approval, DecisionRecord
from fmnist.domain.services.promotion.state import PromotionState


def check_ready(state: PromotionState, staged: ModelVersion, *, manual: bool) -> DecisionRecord:
    """Return the decision that allows the release. With `manual` the staged version also needs a person's approval.

    Raises:
        NotReady: it may not be released. The message says what is missing, and why.
        Conflict: it was compared with another champion, or a rollback is not finished.
    """
    decision = state.decision(staged)
    if decision is None:
        raise NotReady(f"{staged.uri} has no decision that allows its release", Remedy.COMPARE_AND_STAGE)
    if not decision.decision.promoted:
        raise NotReady(f"{staged.uri} may not be released: the decision is {decision.decision.message}")
    check_champion(state, decision)
    acceptance = AcceptanceRecord.of(staged)
    if acceptance is not None and not acceptance.passed:
        raise NotReady(f"{staged.uri} may not be released: its test {acceptance.message}")
    missing = {Remedy.TEST: missing_test(state, staged)}
    if manual:
        missing[Remedy.APPROVE] = missing_approval(state, staged)
    if told := {remedy: text for remedy, text in missing.items() if text}:
        raise NotReady(f"{staged.uri} {'; '.join(told.values())}", *told)
    return decision


def missing_test(state: PromotionState, staged: ModelVersion) -> str:
    """Return why the staged version has no valid test; empty if it has one."""
    record = AcceptanceRecord.of(staged)
    if record is None:
        return "is not tested"
    why = state.basis(staged).changed_since(record.basis, TEST_LIMITS)
    return why and f"has no valid test: its test {why}"


def missing_approval(state: PromotionState, staged: ModelVersion) -> str:
    """Return why the staged version has no valid approval; empty if it has one."""
    record = Approval.of(staged)
    if record is None:
        return "is not approved"
    why = state.basis(staged).changed_since(record.basis)
    return why and f"has no valid approval: its approval by {record.by} {why}"


def check_champion(state: PromotionState, decision: DecisionRecord) -> None:
    """Check that the champion is that of the decision, and that no rollback of it is unfinished.

    Raises:
        Conflict: the champion has changed, or a rollback is unfinished.
    """
    found = state.champion.uri if state.champion else None
    if found != decision.champion:
        raise Conflict(
            f"{decision.version} was compared with {decision.champion or 'no champion'}, but the champion is now "
            f"{found or 'absent'}: compare it again, and then stage and test it again"
        )
    check_rollback(state)


def check_rollback(state: PromotionState) -> None:
    """Check that no rollback was interrupted between the moves of the two aliases.

    Raises:
        Conflict: a rollback was interrupted there.
    """
    begun = state.open_rollback
    if begun is not None and not begun.only_its_end_is_missing:
        raise Conflict(f"a rollback of {begun.taken_back.uri} was started but not finished", Remedy.ROLL_BACK)
