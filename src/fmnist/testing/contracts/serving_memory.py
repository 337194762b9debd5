"""The contract of every `ServingMemory`, wherever it is stored."""

from functools import partial

import numpy as np
import pytest

from fmnist.adapters.memory.classifier import MeanClassifier
from fmnist.domain.model.data.images import CLASS_NAMES, PIXELS, SIDE
from fmnist.domain.model.model import ModelVersion
from fmnist.ports.model_store import ModelPackage
from fmnist.ports.serving_memory import KeptModel, ServingMemory
from fmnist.testing.data import toy_info

_CHAMPION = "models:/prod.contract@champion"
_NEWEST = "newest version of prod.contract"
_LONG = 3600.0


class ServingMemoryContract:
    """Subclass it as `Test...` and supply `memory`."""

    @pytest.fixture
    def memory(self) -> ServingMemory:
        """The memory under test. It is empty."""
        raise NotImplementedError

    def test_empty_memory_knows_nothing(self, memory: ServingMemory) -> None:
        assert memory.pinned(_CHAMPION) is None
        assert memory.pinned(_CHAMPION, _LONG) is None
        assert memory.last_good_id() is None
        assert memory.last_good() is None

    def test_pin_stands_for_its_version_at_any_age(self, memory: ServingMemory) -> None:
        memory.pin(_CHAMPION, "models:/prod.contract/3")
        assert memory.pinned(_CHAMPION) == "models:/prod.contract/3"
        assert memory.pinned(_CHAMPION, _LONG) == "models:/prod.contract/3"

    def test_pin_that_is_too_old_is_passed_over_and_not_forgotten(self, memory: ServingMemory) -> None:
        memory.pin(_CHAMPION, "models:/prod.contract/3")
        assert memory.pinned(_CHAMPION, 0.0) is None
        assert memory.pinned(_CHAMPION) == "models:/prod.contract/3"

    def test_pin_is_replaced_by_the_next(self, memory: ServingMemory) -> None:
        memory.pin(_CHAMPION, "models:/prod.contract/3")
        memory.pin(_CHAMPION, "models:/prod.contract/4")
        assert memory.pinned(_CHAMPION, _LONG) == "models:/prod.contract/4"

    def test_pin_of_something_else_replaces_it_too(self, memory: ServingMemory) -> None:
        # A deploy that goes back to an alias must not find what the alias meant two deploys ago.
        memory.pin(_CHAMPION, "models:/prod.contract/3")
        memory.pin(_NEWEST, "models:/prod.contract/4")
        assert memory.pinned(_CHAMPION) is None
        assert memory.pinned(_NEWEST) == "models:/prod.contract/4"

    def test_pin_is_forgotten_when_something_else_is_expected(self, memory: ServingMemory) -> None:
        # Also if the new expectation is never pinned, because its model does not exist.
        memory.expect(_CHAMPION)
        memory.pin(_CHAMPION, "models:/prod.contract/3")
        memory.expect("models:/prod.contract/99")
        assert memory.pinned(_CHAMPION) is None
        memory.expect(_CHAMPION)
        assert memory.pinned(_CHAMPION) is None
        memory.pin(_CHAMPION, "models:/prod.contract/4")
        assert memory.pinned(_CHAMPION) == "models:/prod.contract/4"

    def test_pin_stays_when_the_same_is_expected_again(self, memory: ServingMemory) -> None:
        memory.expect(_CHAMPION)
        memory.pin(_CHAMPION, "models:/prod.contract/3")
        memory.expect(_CHAMPION)
        assert memory.pinned(_CHAMPION, _LONG) == "models:/prod.contract/3"

    def test_pin_of_what_is_expected_no_more_is_not_taken(self, memory: ServingMemory) -> None:
        memory.expect(_NEWEST)
        memory.pin(_NEWEST, "models:/prod.contract/4")
        memory.pin(_CHAMPION, "models:/prod.contract/3")
        assert memory.pinned(_CHAMPION) is None
        assert memory.pinned(_NEWEST) == "models:/prod.contract/4"

    @pytest.mark.parametrize("compared", [True, False])
    def test_remembered_model_comes_back_whole(self, memory: ServingMemory, *, compared: bool) -> None:
        kept = make_package(1)
        memory.remember(KeptModel.of(kept, compared=compared))
        assert memory.last_good_id() == (kept.version.uri, compared)
        model = memory.last_good()
        assert model is not None
        assert (model.uri, model.compared) == (kept.version.uri, compared)
        found = model.package()
        assert (found.version, found.uuid, found.signature, found.created) == (
            kept.version,
            kept.uuid,
            kept.signature,
            kept.created,
        )
        inputs = np.random.default_rng(2).standard_normal((3, 1, SIDE, SIDE)).astype(np.float32)
        np.testing.assert_array_equal(found.load().logits(inputs), kept.load().logits(inputs))
        assert found.load().info == kept.load().info

    def test_only_the_last_model_is_kept(self, memory: ServingMemory) -> None:
        for number in (1, 2, 1):
            memory.remember(make_kept(number))
            assert memory.last_good_id() == (f"models:/prod.contract/{number}", True)
        found = memory.last_good()
        assert found is not None
        assert found.package().version.version == 1

    def test_version_that_is_asked_for_comes_back_alone(self, memory: ServingMemory) -> None:
        memory.remember(make_kept(1))
        assert memory.last_good("models:/prod.contract/1") == make_kept(1)
        assert memory.last_good("models:/prod.contract/2") is None

    def test_what_comes_back_can_be_had_again(self, memory: ServingMemory) -> None:
        memory.remember(make_kept(1))
        assert [memory.last_good() is None for _ in range(3)] == [False] * 3

    def test_pin_and_model_leave_each_other_alone(self, memory: ServingMemory) -> None:
        memory.remember(make_kept(1))
        memory.pin(_CHAMPION, "models:/prod.contract/2")
        assert memory.last_good_id() == ("models:/prod.contract/1", True)
        memory.remember(make_kept(3))
        assert memory.pinned(_CHAMPION) == "models:/prod.contract/2"


def make_kept(number: int) -> KeptModel:
    """Return `make_package(number)` as a kept model that was compared."""
    return KeptModel.of(make_package(number), compared=True)


def make_package(number: int) -> ModelPackage:
    """Return version `number` of `prod.contract`: a model of random class means, different for each number."""
    means = np.random.default_rng(number).standard_normal((len(CLASS_NAMES), PIXELS)).astype(np.float32)
    version = ModelVersion(
        name="prod.contract", version=number, run_id="0" * 32, aliases=("champion",), tags={"who": "x"}, created=1.6e9
    )
    return ModelPackage(
        version=version,
        uuid=f"m-{number}",
        signature={"inputs": [{"name": "images", "dtype": "float32", "shape": [-1, 1, SIDE, SIDE]}], "outputs": []},
        created=1.6e9,
        factory=partial(MeanClassifier, means, toy_info()),
    )
