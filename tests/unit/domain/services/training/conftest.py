from pathlib import Path

import pytest

from tests.unit.domain.services.training_support import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
