from pathlib import Path

import pytest

from tests.unit.domain.services.tuning_support import TuningHouse


@pytest.fixture
def house(tmp_path: Path) -> TuningHouse:
    return TuningHouse(tmp_path)
