"""Proxies and certificates of the environment do not affect loopback. For other hosts, an error names a broken one."""

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmnist.adapters.http.endpoint import HttpEndpoint
from fmnist.domain.model.errors import InvalidSetting
from tests.unit.adapters.http.test_endpoint import Server, serving

PROXIES = ("all_proxy", "http_proxy", "https_proxy", "no_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["socks://127.0.0.1:1", "socks5://h:1", "http://127.0.0.1:1", "http://a:b@[::1", "foo://x", "[::1]", "*", "/absent"]
)
ENVIRONMENTS = st.dictionaries(st.sampled_from([*PROXIES, *map(str.upper, PROXIES), *CERTIFICATES]), VALUES)


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    with serving() as server:
        yield server


@settings(deadline=None)
@given(ENVIRONMENTS, st.sampled_from(["127.0.0.1", "localhost"]))
def test_loopback_works_with_any_environment(service: Server, environment: dict[str, str], host: str) -> None:
    with (
        patch.dict(os.environ, environment),
        HttpEndpoint(service.url.replace("127.0.0.1", host)) as endpoint,
    ):
        assert endpoint.ask("GET", "/").status == 418


@settings(deadline=None)
@given(ENVIRONMENTS, st.sampled_from(["http://service.example", "https://service.example", "https://127.0.0.1"]))
def test_for_other_hosts_a_broken_environment_is_bad_input(environment: dict[str, str], url: str) -> None:
    with patch.dict(os.environ, environment):
        try:
            HttpEndpoint(url).__exit__()
        except InvalidSetting as error:
            assert any(name in str(error) for name in ("ALL_PROXY", "SSL_CERT_FILE"))  # noqa: PT017 - one of two outcomes


@pytest.mark.parametrize(
    ("variable", "value", "url", "named"),
    [
        ("all_proxy", "socks://127.0.0.1:1080", "http://service.example", "ALL_PROXY"),
        ("ALL_PROXY", "socks5://127.0.0.1:1080", "http://service.example", "ALL_PROXY"),
        ("SSL_CERT_FILE", "/absent", "https://service.example", "SSL_CERT_FILE"),
    ],
)
def test_error_names_the_broken_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, url: str, named: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSetting, match=named):
        HttpEndpoint(url)


def test_broken_no_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "[::1]")
    with pytest.raises(InvalidSetting, match="NO_PROXY"):
        HttpEndpoint("http://service.example")


def test_password_of_a_proxy_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks://me:s3cr3t@proxy.example:1080")
    with pytest.raises(InvalidSetting) as raised:
        HttpEndpoint("http://service.example")
    assert "s3cr3t" not in str(raised.value)


def test_direct_request_uses_no_proxy_for_any_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks://127.0.0.1:1080")
    HttpEndpoint("http://its-own-name.example:8000", direct=True).__exit__()
