"""What a staged version needs before it is released: a decision, a test and an approval that count on this champion."""

from fmnist.domain.model.errors import Conflict, NotReady
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import TEST_LIMITS
from fmnist.domain.model.promotion.records import AcceptanceRecord, Approval, DecisionRecord
from fmnist.domain.services.promotion.state import PromotionState


def check_ready(state: PromotionState, staged: ModelVersion, *, manual: bool) -> None:
    """See that the staged version may be released; `manual` asks for a person's approval, too.

    Raises:
        NotReady: it may not; the message names all that is missing, why, and which commands give it.
        Conflict: it was compared with another champion, or a rollback is not finished.
    """
    decision = state.decision(staged)
    if decision is None:
        raise NotReady(
            f"{staged.uri} has no decision that lets it be released: run fmnist promote compare and stage on the "
            "version that it is a copy of"
        )
    if not decision.decision.promoted:
        raise NotReady(f"{staged.uri} may not be released, {decision.decision.message}")
    check_champion(state, decision)
    acceptance = AcceptanceRecord.of(staged)
    if acceptance is not None and not acceptance.passed:
        raise NotReady(f"{staged.uri} may not be released, its test {acceptance.message}")
    missing = [missing_test(state, staged), missing_approval(state, staged) if manual else ""]
    if told := "; ".join(filter(None, missing)):
        raise NotReady(f"{staged.uri} {told}")


def missing_test(state: PromotionState, staged: ModelVersion) -> str:
    """Say why there is no test that counts, and what to run; nothing where there is one."""
    record, to_do = AcceptanceRecord.of(staged), "run fmnist promote test"
    if record is None:
        return f"is not tested: {to_do} first"
    why = state.basis(staged).changed_since(record.basis, TEST_LIMITS)
    return why and f"is not tested as things are, its test {why}: {to_do} again"


def missing_approval(state: PromotionState, staged: ModelVersion) -> str:
    """Say why there is no approval that counts, and what to run; nothing where there is one."""
    record, to_do = Approval.of(staged), "run fmnist promote approve --by WHO --reason WHY"
    if record is None:
        return f"is not approved: {to_do}"
    why = state.basis(staged).changed_since(record.basis)
    return why and f"is not approved as things are, its approval by {record.by} {why}: {to_do} again"


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
        raise Conflict(
            f"a rollback of {begun.taken_back.uri} was begun and not finished: run fmnist promote rollback again first"
        )
