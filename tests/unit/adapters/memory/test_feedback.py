import pytest

from fmnist.adapters.memory.feedback import MemoryFeedback
from fmnist.testing.contracts.feedback import FeedbackContract


class TestMemoryFeedback(FeedbackContract):
    @pytest.fixture
    def feedback(self) -> MemoryFeedback:
        return MemoryFeedback(most=10)
