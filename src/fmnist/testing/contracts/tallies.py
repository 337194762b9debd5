"""The contract of every `Tallies`, wherever they are stored, with agreements as their kind."""

import numpy as np
import pytest

from fmnist.domain.model.traffic.agreement import Agreement, Pair
from fmnist.ports.tallies import Tallies

_PAIR = Pair("models:/prod.contract/3", "models:/prod.contract/4")


class TalliesContract:
    """Subclass it as `Test...` and supply `tallies`."""

    @pytest.fixture
    def tallies(self) -> Tallies[Agreement]:
        """The tallies under test. They are empty."""
        raise NotImplementedError

    def test_key_that_was_never_counted_is_empty(self, tallies: Tallies[Agreement]) -> None:
        assert tallies.total(_PAIR) == Agreement()

    def test_counts_of_one_key_add_up(self, tallies: Tallies[Agreement]) -> None:
        pieces = [_compared(3), Agreement(dropped=5, faults=("it hangs",)), _compared(4)]
        for piece in pieces:
            tallies.add(_PAIR, piece)
        assert tallies.total(_PAIR) == Agreement.joined(pieces)

    def test_each_key_is_counted_for_itself(self, tallies: Tallies[Agreement]) -> None:
        tallies.add(_PAIR, _compared(3))
        tallies.add(Pair(_PAIR.shadow_uri, _PAIR.model_uri), _compared(4))
        assert tallies.total(_PAIR) == _compared(3)


def _compared(images: int) -> Agreement:
    rows = np.random.default_rng(images).dirichlet(np.ones(10), (2, images)).astype(np.float32)
    return Agreement.of(rows[0], rows[1], seconds=0.5, shadow_seconds=0.25)
