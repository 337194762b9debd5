"""The share of a canary: the same id always meets the same model."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.promotion.canary import Canary

URI = "models:/staging.toy/4"


@given(ids=st.lists(st.text(max_size=64)), low=st.integers(0, 100), high=st.integers(0, 100))
def test_larger_share_has_all_ids_of_a_smaller_one(ids: list[str], low: int, high: int) -> None:
    low, high = sorted((low, high))
    assert all(Canary(URI, high).takes(each) for each in ids if Canary(URI, low).takes(each))


@given(st.text(max_size=64))
def test_no_percent_takes_nothing_and_all_percent_take_everything(request_id: str) -> None:
    assert not Canary(URI, 0).takes(request_id)
    assert Canary(URI, 100).takes(request_id)


@pytest.mark.parametrize("percent", [1, 5, 25, 50, 99])
def test_share_of_numbered_ids_is_near_the_percentage(percent: int) -> None:
    taken = sum(Canary(URI, percent).takes(f"request-{number}") for number in range(20_000))
    assert taken / 20_000 == pytest.approx(percent / 100, abs=0.012)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "must have model_uri and percent"),
        ({"model_uri": URI}, "must have model_uri and percent"),
        ({"model_uri": URI, "percent": 5, "other": 1}, "must have model_uri and percent"),
        ({"model_uri": "models:/staging.toy@candidate", "percent": 5}, "models:/NAME/VERSION"),
        ({"model_uri": "a text", "percent": 5}, "a text"),
        ({"model_uri": 7, "percent": 5}, "models:/NAME/VERSION"),
        ({"model_uri": URI, "percent": 101}, "whole number"),
        ({"model_uri": URI, "percent": -1}, "whole number"),
        ({"model_uri": URI, "percent": 5.5}, "whole number"),
        ({"model_uri": URI, "percent": True}, "whole number"),
    ],
)
def test_values_that_are_not_allowed_are_refused(values: Any, message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        Canary.parse(values)


def test_valid_values_are_read() -> None:
    assert Canary.parse({"model_uri": URI, "percent": 5}) == Canary(URI, 5)
    assert str(Canary(URI, 5)) == f"{URI} at 5 %"
