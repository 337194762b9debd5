from dataclasses import replace

import pytest

from fmnist.adapters.memory.serving_memory import MemoryServingMemory
from fmnist.ports.model_store import ModelPackage
from fmnist.ports.serving_memory import KeptModel
from fmnist.testing.contracts.serving_memory import ServingMemoryContract, make_package


class TestMemoryServingMemory(ServingMemoryContract):
    @pytest.fixture
    def memory(self) -> MemoryServingMemory:
        return MemoryServingMemory()


def test_pin_expires_by_the_clock_and_a_new_pin_starts_again() -> None:
    now = 100.0
    memory = MemoryServingMemory(clock=lambda: now)
    memory.pin("models:/a@champion", "models:/a/1")
    now = 109.9
    assert memory.pinned("models:/a@champion", 10) == "models:/a/1"
    now = 110.0
    assert memory.pinned("models:/a@champion", 10) is None
    memory.pin("models:/a@champion", "models:/a/1")
    assert memory.pinned("models:/a@champion", 10) == "models:/a/1"


def test_model_that_cannot_be_pickled_raises() -> None:
    bound = replace(make_package(2), factory=lambda: make_package(2).load())
    with pytest.raises(Exception, match="pickle"):
        KeptModel.of(bound, compared=True)


def test_package_of_an_earlier_release_has_no_reference_and_can_be_kept_again(monkeypatch: pytest.MonkeyPatch) -> None:
    package = make_package(2)
    state = [getattr(package, name) for name in ("version", "uuid", "signature", "created", "factory")]
    with monkeypatch.context() as earlier:
        earlier.setattr(ModelPackage, "__getstate__", lambda _: state)
        kept = KeptModel.of(package, compared=True)
    found = kept.package()
    assert (found.version, found.reference) == (package.version, None)
    assert KeptModel.of(found, compared=True).package().reference is None
