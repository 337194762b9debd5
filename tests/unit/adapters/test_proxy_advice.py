"""Advice names a proxy only for a URL that goes through it."""

import pytest

from fmnist.adapters.environment import proxy_advice


@pytest.fixture(autouse=True)
def _proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("all", "no"):
        monkeypatch.delenv(f"{kind}_proxy", raising=False)
        monkeypatch.delenv(f"{kind}_proxy".upper(), raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy:3128")


@pytest.mark.parametrize("url", ["http://[h", "http://:5000", "http://", "ftp://h", "/srv"])
def test_address_without_a_host_has_no_proxy(url: str) -> None:
    assert proxy_advice(url) is None


@pytest.mark.parametrize(
    ("excepted", "url", "direct"),
    [
        ("h", "http://h:5000/x", True),
        ("h:5000", "http://me:word@h:5000/x", True),
        ("h:5000", "http://h:6000/x", False),
        ("::1", "http://[::1]:5000", True),
        ("", "http://h", False),
    ],
)
def test_no_proxy_entry_may_have_a_port(monkeypatch: pytest.MonkeyPatch, excepted: str, url: str, direct: bool) -> None:
    monkeypatch.setenv("no_proxy", excepted)
    assert (proxy_advice(url) is None) == direct
