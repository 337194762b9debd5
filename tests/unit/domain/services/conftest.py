from pathlib import Path

import pytest

from tests.unit.domain.services.promotion_support import House


@pytest.fixture
def promotions(tmp_path: Path) -> House:
    return House(tmp_path)
