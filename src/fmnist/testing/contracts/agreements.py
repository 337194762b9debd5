"""The contract of every `Agreements`, wherever it is stored."""

import numpy as np
import pytest

from fmnist.domain.model.traffic.agreement import Agreement, Pair
from fmnist.ports.agreements import Agreements

_PAIR = Pair("models:/prod.contract/3", "models:/prod.contract/4")


class AgreementsContract:
    """Subclass it as `Test...` and supply `agreements`."""

    @pytest.fixture
    def agreements(self) -> Agreements:
        """The agreements under test. They are empty."""
        raise NotImplementedError

    def test_pair_that_was_never_compared_is_empty(self, agreements: Agreements) -> None:
        assert agreements.total(_PAIR) == Agreement()

    def test_comparisons_of_one_pair_add_up(self, agreements: Agreements) -> None:
        pieces = [_compared(3), Agreement(dropped=5, faults=("it hangs",)), _compared(4)]
        for piece in pieces:
            agreements.add(_PAIR, piece)
        assert agreements.total(_PAIR) == Agreement.joined(pieces)

    def test_each_pair_is_counted_for_itself(self, agreements: Agreements) -> None:
        agreements.add(_PAIR, _compared(3))
        agreements.add(Pair(_PAIR.shadow_uri, _PAIR.model_uri), _compared(4))
        assert agreements.total(_PAIR) == _compared(3)


def _compared(images: int) -> Agreement:
    rows = np.random.default_rng(images).dirichlet(np.ones(10), (2, images)).astype(np.float32)
    return Agreement.of(rows[0], rows[1], seconds=0.5, shadow_seconds=0.25)
