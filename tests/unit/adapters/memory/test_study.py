from collections.abc import Callable

import pytest

from fmnist.adapters.memory.study import MemoryStudy
from fmnist.testing.contracts.study import SPACE, START, StudyContract


class TestMemoryStudy(StudyContract):
    @pytest.fixture
    def reopen(self) -> Callable[[], MemoryStudy]:
        opened: list[MemoryStudy] = []

        def reopen() -> MemoryStudy:
            opened.append(MemoryStudy(SPACE, START, opened[-1] if opened else None))
            return opened[-1]

        return reopen
