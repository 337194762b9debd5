"""Runs all steps of a promotion in a row. Each step also has its own service."""

from contextlib import nullcontext
from dataclasses import dataclass

from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import Mode, PromotionPolicy
from fmnist.domain.model.promotion.records import AcceptanceRecord, DecisionRecord, Tag
from fmnist.domain.model.promotion.stages import StagedName
from fmnist.domain.services.promotion.acceptance import AcceptanceTest
from fmnist.domain.services.promotion.compare import ModelComparison
from fmnist.domain.services.promotion.promote import MANUAL, ModelPromotion, check_release
from fmnist.domain.services.promotion.release_checks import missing_approval
from fmnist.domain.services.promotion.state import Lock, PromotionState
from fmnist.ports.model_store import ModelStore


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionResult:
    """How far a promotion came. The results of steps that were not reached are None."""

    message: str
    decision: DecisionRecord | None = None
    staged: ModelVersion | None = None
    acceptance: AcceptanceRecord | None = None
    released: ModelVersion | None = None


@dataclass(frozen=True, slots=True)
class PromotionRun:
    """Compares, stages, tests and releases under one lock, and stops at the first step that refuses."""

    comparison: ModelComparison
    acceptance: AcceptanceTest
    promotion: ModelPromotion
    store: ModelStore
    source: StagedName
    lock: Lock = nullcontext

    def run(
        self,
        challenger: ModelVersion,
        policy: PromotionPolicy,
        mode: Mode,
        *,
        by: str,
        approval: str,
        split: str = "test",
        data_version: str | None = None,
        serving_image: str | None = None,
    ) -> PromotionResult:
        """Promote the challenger if every step allows it. Raises the errors of the steps.

        A challenger that is already the champion is not compared with itself. Only the rest of an interrupted release
        is done.
        """
        check_release(by, approval)
        with self.lock():
            state = self._read()
            champion = state.champion
            if champion and state.is_ours(champion) and champion.tags.get(Tag.STAGED_FROM) == challenger.uri:
                outcome = self.promotion.release(
                    champion.tags[Tag.RELEASED_FROM], by=by, approval=approval, serving_image=serving_image
                )
                return PromotionResult(
                    message=outcome.message,
                    staged=self.store.resolve(champion.tags[Tag.RELEASED_FROM]),
                    released=outcome.version,
                )
            decision = self.comparison.compare(challenger, policy, mode, split=split, data_version=data_version)
            if not decision.decision.promoted:
                return PromotionResult(message=decision.decision.message, decision=decision)
            staged = self.promotion.stage(challenger).version
            acceptance = self.acceptance.run(uri=staged.uri)
            message = f"{staged.uri} is staged, and its test {acceptance.message}"
            released = None
            if acceptance.passed and approval == MANUAL and missing_approval(self._read(), staged):
                message = f"{staged.uri} is staged and tested, and waits for approval"
            elif acceptance.passed:
                outcome = self.promotion.release(staged.uri, by=by, approval=approval, serving_image=serving_image)
                released, message = outcome.version, outcome.message
            return PromotionResult(
                message=message, decision=decision, staged=staged, acceptance=acceptance, released=released
            )

    def _read(self) -> PromotionState:
        return PromotionState.read(self.store, self.source)
