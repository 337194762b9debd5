"""The app names the command for each remedy of a domain error."""

import pytest

from fmnist.apps.remedies import with_remedies
from fmnist.domain.model.errors import NotReady, Remedy


@pytest.mark.parametrize("remedy", Remedy)
def test_every_remedy_has_a_text(remedy: Remedy) -> None:
    assert with_remedies(NotReady("no", remedy)).startswith("no; ")


def test_all_remedies_follow_the_message() -> None:
    told = with_remedies(NotReady("not tested", Remedy.TEST, Remedy.COMPARE))
    assert told == "not tested; run fmnist promote test; run fmnist promote compare"
