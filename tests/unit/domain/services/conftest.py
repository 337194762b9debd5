from pathlib import Path

import pytest

from tests.unit.domain.services.promotion_support import House
from tests.unit.domain.services.serving_support import Deployment


@pytest.fixture
def promotions(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)
