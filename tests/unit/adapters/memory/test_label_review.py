import pytest

from fmnist.adapters.memory.label_review import MemoryLabelReview
from fmnist.testing.contracts.label_review import LabelReviewContract


class TestMemoryLabelReview(LabelReviewContract):
    @pytest.fixture
    def review(self) -> MemoryLabelReview:
        return MemoryLabelReview()
