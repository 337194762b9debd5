"""Releases and rollbacks on MLflow's registry: in a file, with a fault at every write, and on a server."""

import dataclasses
import uuid
from collections.abc import Mapping
from itertools import count

import numpy as np
import pytest

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import Mode, PromotionPolicy, Rule
from fmnist.domain.model.promotion.records import AcceptanceRecord, DecisionRecord
from fmnist.domain.model.promotion.stages import Stage, StagedName
from fmnist.domain.services.promotion.overview import PromotionOverview
from fmnist.domain.services.promotion.promote import ModelPromotion
from fmnist.domain.services.promotion.rollback import ModelRollback
from fmnist.domain.services.promotion.state import PromotionState
from fmnist.ports.model_store import TrainedWeights
from fmnist.testing.data import toy_info

AT = "2026-01-01T00:00:00Z"


class FaultyStore(MlflowModelStore):
    """Loses the answer to the write with this number."""

    writes = 0
    fail_at: int | None = None

    def copy(self, source: ModelVersion, name: str, tags: Mapping[str, str] | None = None) -> ModelVersion:
        copy = super().copy(source, name, tags)
        self._strike()
        return copy

    def label(self, version: ModelVersion, *, alias: str | None = None, tags: Mapping[str, str] | None = None) -> None:
        super().label(version, alias=alias, tags=tags)
        self._strike()

    def _strike(self) -> None:
        self.writes += 1
        if self.writes == self.fail_at:
            raise StoreUnavailable("the answer is lost")


@pytest.fixture(scope="module")
def saved(request: pytest.FixtureRequest, cnn: TrainedWeights) -> tuple[MlflowConnection, ModelVersion]:
    connection: MlflowConnection = request.getfixturevalue(request.param)
    golden = np.zeros((2, 28, 28), np.uint8)
    run_id = MlflowTracker(connection).start("training", {})
    name = f"dev.promoted-{uuid.uuid4().hex[:8]}"
    return connection, MlflowModelStore(connection).save(run_id, name, cnn, toy_info(), golden)


class Promotions:
    def __init__(self, connection: MlflowConnection, saved: ModelVersion) -> None:
        self.store = FaultyStore(connection)
        self.source = StagedName.parse(f"dev.promoted-{uuid.uuid4().hex[:8]}")
        self.saved = saved
        self.promotion = ModelPromotion(self.store, self.source)
        self.rollback = ModelRollback(self.store, self.source)

    def prepare(self) -> ModelVersion:
        """Stage a model as if it was compared and tested."""
        challenger = self.store.copy(self.saved, str(self.source))
        champion = PromotionState.read(self.store, self.source).champion
        rule = Rule("a rule", passed=True, figures={"figure": 0.5}, reason="for a test")
        decision = DecisionRecord(
            version=challenger.uri,
            at=AT,
            champion=champion.uri if champion else None,
            mode=Mode.EVALUATE,
            rules=(rule,),
            data_version="fashion-mnist-v1.0.0",
            split="test",
            policy=dataclasses.asdict(PromotionPolicy()),
        )
        self.store.label(challenger, tags=decision.tag())
        assert DecisionRecord.of(self.store.resolve(challenger.uri)) == decision
        staged = self.promotion.stage(challenger).version
        test = AcceptanceRecord(version=staged.uri, at=AT, checks=(rule,), basis=decision.basis)
        self.store.label(staged, tags=test.tag())
        return staged

    def aliases(self) -> dict[str, int]:
        prod = PromotionState.read(self.store, self.source).prod
        return {alias: each.version for each in prod for alias in each.aliases}


@pytest.mark.parametrize("saved", ["connection"], indirect=True)
def test_release_and_rollback_give_the_same_result_with_any_lost_answer(
    saved: tuple[MlflowConnection, ModelVersion],
) -> None:
    promotions = Promotions(*saved)
    promotions.promotion.release(promotions.prepare().uri, by="x")
    expected = 1
    steps = {"release": 0, "rollback": 0}
    for fault in count(1):
        staged = promotions.prepare()
        newest = len(PromotionState.read(promotions.store, promotions.source).prod) + 1
        for step, act in (
            ("release", lambda uri=staged.uri: promotions.promotion.release(uri, by="x")),
            ("rollback", lambda: promotions.rollback.run(by="x", reason="for a test")),
        ):
            promotions.store.writes, promotions.store.fail_at = 0, fault
            try:
                act()
            except StoreUnavailable:
                steps[step] = fault
                assert promotions.aliases()["champion"] in {1, newest}
                promotions.store.fail_at = None
                act()
            promotions.store.fail_at = None
            expected = newest if step == "release" else 1
            assert promotions.aliases()["champion"] == expected
            assert promotions.aliases()["previous"] == (1 if step == "release" else newest)
        if fault > max(steps.values()):
            break
    assert steps == {"release": 4, "rollback": 4}


@pytest.mark.parametrize("saved", ["connection", "server"], indirect=True)
def test_promotion_by_the_platform_s_own_script_is_shown_and_rolled_back(
    saved: tuple[MlflowConnection, ModelVersion],
) -> None:
    promotions, client = Promotions(*saved), saved[0].client()
    promotions.promotion.release(promotions.prepare().uri, by="x")
    staged, prod = promotions.prepare(), str(promotions.source.at(Stage.PROD))
    copy = client.copy_model_version(f"models:/{staged.name}/{staged.version}", prod)
    client.set_registered_model_alias(prod, "previous", "1")
    client.set_registered_model_alias(prod, "champion", copy.version)
    overview = PromotionOverview(promotions.store, promotions.source)
    champion = overview.status()[2]
    assert champion.version is not None
    assert (champion.version.uri, champion.since) == (f"models:/{prod}/2", "")
    assert "fmnist has no record of that" in champion.note
    ours = promotions.promotion.release(promotions.prepare().uri, by="x").version
    assert promotions.aliases() == {"champion": ours.version, "previous": 2}
    assert promotions.rollback.run(by="x", reason="for a test").version.uri == champion.version.uri
    assert overview.status()[3].note == "rolled back by x: for a test"
