import pytest

from fmnist.adapters.cleanlab.label_review import CleanlabReview
from fmnist.testing.contracts.label_review import LabelReviewContract


class TestCleanlabReview(LabelReviewContract):
    @pytest.fixture
    def review(self) -> CleanlabReview:
        return CleanlabReview()
