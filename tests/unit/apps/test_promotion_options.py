"""Defaults of the options that `fmnist promote` and its steps share."""

import os

import pytest

from fmnist.apps.promotion_options import who


def test_who_promotes_is_the_given_name_or_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    assert who("A. Person") == "A. Person"
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert who(None) == "root"


def test_a_user_without_a_name_is_named_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 2_000_000_007)
    assert who(None) == "uid 2000000007"
