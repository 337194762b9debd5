"""The advice for a repository that fails depends on the cause."""

import shlex

import pytest

from fmnist.adapters.git.advice import advice
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable

_OWNER, _ABSENT, _PASSWORD, _KEY, _SERVER, _TRUST, _SETTING = (
    "belongs to another user",
    "make one",
    "check the user and password",
    "ssh does not know this host",
    "check that the server runs",
    "CA certificate file of the server",
    "correct that setting of your Git",
)


@pytest.mark.parametrize(
    ("repo", "said", "expected"),
    [
        ("/srv/r.git", "detected dubious ownership in repository at '/srv/r.git'", _OWNER),
        ("file:///srv/r.git", "detected dubious ownership in repository at '/srv/r.git'", _OWNER),
        ("/srv/r.git", "'/srv/r.git' does not appear to be a git repository", _ABSENT),
        ("/srv/r.git", "repository '/srv/r.git' does not exist", _ABSENT),
        ("https://h/r.git", "repository 'https://h/r.git/' not found", _ABSENT),
        ("git@h:r.git", "ERROR: Repository not found.; Could not read from remote repository.", _ABSENT),
        ("https://h/r.git", "Authentication failed for 'https://h/r.git/'", _PASSWORD),
        ("https://h/r.git", "could not read Username for 'https://h': terminal prompts disabled", _PASSWORD),
        ("https://h/r.git", "unable to access 'https://h/r.git/': The requested URL returned error: 403", _PASSWORD),
        ("git@h:r.git", "git@h: Permission denied (publickey).; Could not read from remote repository.", _PASSWORD),
        ("git@h:r.git", "Host key verification failed.; Could not read from remote repository.", _KEY),
        ("https://h/r.git", "unable to access 'https://h/r.git/': Could not resolve host: h", _SERVER),
        ("https://h/r.git", "Failed to connect to h port 443 after 0 ms: Couldn't connect to server", _SERVER),
        ("ssh://h/r.git", "ssh: connect to host h port 22: Connection refused; Could not read", _SERVER),
        ("git://h/r.git", "`git clone` got no answer within 60 s", _SERVER),
        ("https://h/r.git", "server certificate verification failed. CAfile: none CRLfile: none", _TRUST),
        ("https://h/r.git", "SSL certificate problem: self-signed certificate", _TRUST),
        ("https://h/r.git", "bad numeric config value 'x' for 'http.postbuffer' in file /tmp/gitconfig: inv", _SETTING),
        ("https://h/r.git", "bad boolean config value 'maybe' for 'http.sslverify'", _SETTING),
        ("https://h/r.git", "repository 'https://h/a config value for/' not found", _ABSENT),
        ("https://h/r.git", "remote: no such config value here; Authentication failed for 'https://h/'", _PASSWORD),
        ("/srv/r.git", "unable to write file objects: Permission denied", "check who may read and write /srv/r.git"),
    ],
)
def test_advice_is_for_the_cause(repo: str, said: str, expected: str) -> None:
    assert expected in (advice(StoreUnavailable(said), Address(repo), "VARIABLE", "make one") or "")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{kind}_proxy", raising=False)
        monkeypatch.delenv(f"{kind}_proxy".upper(), raising=False)


def test_proxy_of_a_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:hidden@proxy:3128")
    said = StoreUnavailable("unable to access 'https://h/r.git/': Could not resolve proxy: proxy")
    expected = "check https_proxy, which names the proxy http://proxy:3128, or Git's http.proxy; list h in NO_PROXY"
    assert expected in (advice(said, Address("https://h/r.git"), "VARIABLE", "make one") or "")
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    assert "PROXY" not in (advice(said, Address("ssh://h/r.git"), "VARIABLE", "make one") or "")
    monkeypatch.setenv("NO_PROXY", "h")
    assert "https_proxy" not in (advice(said, Address("https://h/r.git"), "VARIABLE", "make one") or "")


@pytest.mark.parametrize(
    "said",
    [
        "CONNECT tunnel failed, response 407",
        "CONNECT tunnel failed, response 503",
        "Received HTTP code 404 from proxy after CONNECT",
        "The requested URL returned error: 407",
        "Could not resolve proxy: proxy",
    ],
)
def test_advice_for_a_proxy_error_of_git_names_the_proxy(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    error = StoreUnavailable(f"unable to access 'https://h/r.git/': {said}")
    assert advice(error, Address("https://h/r.git"), "VARIABLE", "make one") == "check Git's http.proxy"
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    words = advice(error, Address("https://h/r.git"), "VARIABLE", "make one") or ""
    assert words.startswith("check HTTPS_PROXY, which names the proxy http://proxy:3128, or Git's http.proxy; ")


def test_http_proxy_in_upper_case_is_not_blamed_because_git_ignores_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = StoreUnavailable("unable to access 'http://h/r.git/': The requested URL returned error: 503")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    assert "PROXY" not in (advice(said, Address("http://h/r.git"), "VARIABLE", "make one") or "")
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    assert "check ALL_PROXY" in (advice(said, Address("http://h/r.git"), "VARIABLE", "make one") or "")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert "check http_proxy" in (advice(said, Address("http://h/r.git"), "VARIABLE", "make one") or "")


def test_message_without_a_known_cause_gets_no_advice() -> None:
    assert advice(StoreUnavailable("bad object"), Address("https://h/tls-data.git"), "VARIABLE", "make one") is None


@pytest.mark.parametrize("place", ["/srv/r.git", "/srv/it's $(x) r.git"])
def test_advice_trusts_only_the_one_repository(place: str) -> None:
    said = StoreUnavailable(f"detected dubious ownership in repository at '{place}'")
    words = advice(said, Address(place), "VARIABLE", "make one") or ""
    assert words.endswith(f"--add safe.directory {shlex.quote(place)}`")
    assert "safe.directory *" not in words
    assert "safe.directory=*" not in words
