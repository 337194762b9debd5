import ipaddress
import json
import pickle
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from fmnist.domain.model.address import Address, is_loopback, without_credentials
from fmnist.domain.model.errors import InvalidSetting

_PASSWORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=12)
_SCHEMES = st.sampled_from(["http", "https", "mysql", "mysql+pymysql", "postgresql", "mssql+pyodbc"])


@dataclass(frozen=True)
class _Holder:
    address: Address


@given(scheme=_SCHEMES, odd=_PASSWORD, tail=st.sampled_from(["/db", "/org/repo.git", ":5000", ":5000/x?token=SECRET"]))
@example(scheme="mysql", odd="p'w", tail="/db")
@example(scheme="http", odd="p w", tail="/db")
@example(scheme="http", odd="p/w", tail="/db")
@example(scheme="http", odd="p@/w", tail="/db")
@example(scheme="mysql", odd="?/#", tail="/db")
def test_address_never_shows_its_password(scheme: str, odd: str, tail: str) -> None:
    for password in (f"SECRET{odd}SECRET", quote(f"SECRET{odd}SECRET", safe="")):
        text = f"{scheme}://user:{password}@host.example{tail}"
        try:
            address = Address(text)
        except InvalidSetting:
            continue  # the next test checks its message
        holder = _Holder(address)
        ways = (str(address), repr(address), f"{address}", f"{address:>99}", f"{address!r}", "%s" % (address,))  # noqa: UP031
        ways += (repr(holder), str(asdict(holder)), address.identity, json.dumps({"at": address}, default=str))
        assert [shown for shown in ways if "SECRET" in shown] == []
        assert "@" in odd or "host.example" in str(address)


@pytest.mark.parametrize("start", ["", "http:/", "http:", "//"])
def test_password_without_a_scheme_is_refused_and_not_shown(start: str) -> None:
    with pytest.raises(InvalidSetting, match="without a scheme: put one such as http://") as refused:
        Address(f"{start}user:SECRET@127.0.0.1:5000/x")
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("address", ["http://:SECRET/x@127.0.0.1:1", "http://u:/SECRET@h", "http://:SECRET@h"])
def test_error_for_a_mistyped_password_does_not_show_it(address: str) -> None:
    assert "SECRET" not in f"{Address(address)} {without_credentials(address)}"


@pytest.mark.parametrize("text", ["http://u:p@ss/word@host/x", "https://tok@en/x@host/x", "ssh://git:p@a/s@host/x"])
def test_address_with_two_hosts_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidSetting, match="write %40 for @ and %2F for /") as refused:
        Address(text)
    assert "ss/word" not in str(refused.value)


@given(odd=st.text(max_size=12))
def test_vendor_gets_the_address_unchanged(odd: str) -> None:
    text = f"https://user:{quote(odd, safe='', errors='ignore')}@host.example/x"
    assert Address(text).reveal() == pickle.loads(pickle.dumps(Address(text))).reveal() == text
    assert Address(text) == Address(text) != Address("https://host.example/x")


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        ("https://a%20b:p%40%2F%3A@host/x", ("a b", "p@/:")),
        ("https://token@host/x", ("token", None)),
        ("https://user:@host/x", ("user", "")),
        ("https://user:p/w@host/x", ("user", "p/w")),
        ("ssh://git@host/x@y", ("git", None)),
        ("https://host/x@y", None),
        ("http://host:5000/x@y", None),
        ("git@host:x", None),
        ("/srv/a@b", None),
    ],
)
def test_credentials_are_decoded(text: str, credentials: tuple[str, str | None] | None) -> None:
    assert Address(text).credentials() == credentials


@pytest.mark.parametrize("text", ["/srv/a@b?c#d", "git@host:x", "sqlite:////srv/a#b@c/mlflow.db", "HTTP://Host/x"])
def test_address_without_a_secret_is_shown_completely(text: str) -> None:
    assert str(Address(text)) == text


_SAME = [
    "http://h:5000",
    "http://h:5000/",
    "HTTP://H:5000",
    "http://user@h:5000",
    "http://user:pass@h:5000/",
    "http://h.:5000",
]


@pytest.mark.parametrize("same", _SAME)
def test_one_place_has_one_identity(same: str) -> None:
    assert Address(same).identity == Address("http://h:5000").identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://h", "https://h:443/"),
        ("http://h", "http://h:80"),
        ("http://localhost:5000", "http://127.0.0.1:5000"),
        ("http://[::1]:5000", "http://127.0.0.1:5000"),
        ("mysql://u:p'w@h/db", "mysql+pymysql://h:3306/db"),
        ("postgresql://h/db?sslmode=require", "postgresql+psycopg2://h:5432/db"),
        ("http://h/a%20b", "http://h/a b/"),
    ],
)
def test_default_ports_drivers_and_options_do_not_change_the_identity(one: str, other: str) -> None:
    assert Address(one).identity == Address(other).identity


@given(st.ip_addresses(v=6), st.ip_addresses(network="127.0.0.0/8"))
def test_ip_address_has_one_identity_in_every_notation(
    number: ipaddress.IPv6Address, loop: ipaddress.IPv4Address
) -> None:
    short, long = (Address(f"http://[{text}]:5000").identity for text in (number.compressed, number.exploded.upper()))
    assert short == long
    local = Address("http://localhost:5000").identity
    for text in (str(loop), f"[::ffff:{loop}]", "[::1]", "[0:0:0:0:0:0:0:1]", "LOCALHOST."):
        assert Address(f"http://{text}:5000").identity == local


@pytest.mark.parametrize(
    "other", ["https://h:5000", "http://h:5001", "http://h:5000/Sub", "http://g:5000", "sqlite:///h"]
)
def test_another_place_has_another_identity(other: str) -> None:
    assert Address(other).identity != Address("http://h:5000").identity


@pytest.mark.parametrize(
    "text", ["http://h:port/x", "http://[h/x", "/srv/store", "me@h:srv/store", "file:///srv/store"]
)
def test_place_without_a_usable_host_is_its_own_identity(text: str) -> None:
    assert Address(text).identity == text


@given(st.ip_addresses(network="127.0.0.0/8"))
def test_loopback_is_recognized_by_any_of_its_ip_addresses(number: ipaddress.IPv4Address) -> None:
    assert is_loopback(str(number))
    assert is_loopback(f"::ffff:{number}")


@given(st.ip_addresses())
def test_no_other_ip_address_is_loopback(number: ipaddress.IPv4Address) -> None:
    mapped = getattr(number, "ipv4_mapped", None) or number
    assert is_loopback(str(number)) == (mapped in ipaddress.ip_network("127.0.0.0/8") or str(number) == "::1")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "me.localhost", "::1"])
def test_loopback_is_recognized_by_name(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.example", "notlocalhost", "10.0.0.1", "::", "::2", ""])
def test_other_names_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_one_database_file_has_one_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    same = {"sqlite:///mlflow.db", f"sqlite:///{tmp_path}/mlflow.db", "sqlite:///link/mlflow.db?timeout=5"}
    same |= {f"sqlite:///{tmp_path}/link/mlflow.db", f"sqlite+pysqlite:///{tmp_path}/%6Dlflow.db"}
    assert {Address(text).identity for text in same} == {f"sqlite:///{tmp_path.resolve()}/mlflow.db"}


_MESSAGE = "cannot reach {}: 'refused', says models:/name@champion"


@given(odd=_PASSWORD, scheme=_SCHEMES)
@example(odd="p'w", scheme="mysql")
@example(odd="p w", scheme="http")
@example(odd="p/w", scheme="http")
@example(odd="@/w", scheme="http")
@example(odd='p"w', scheme="http")
def test_no_odd_password_survives_in_a_message(odd: str, scheme: str) -> None:
    # An http password with a space after an @ looks like a host and the words after it.
    assume(scheme not in {"http", "https"} or not ("@" in odd and any(character.isspace() for character in odd)))
    for password in (f"SECRET{odd}SECRET", quote(f"SECRET{odd}SECRET", safe="")):
        assert "SECRET" not in without_credentials(_MESSAGE.format(f"{scheme}://user:{password}@host.example/db"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://host/x.git", "https://host/x.git"),
        ("https://bot:s3cret@host:8443/x.git", "https://host:8443/x.git"),
        ("https://token@host/x.git", "https://host/x.git"),
        ("http://user:p@ss@host/x", "http://host/x"),
        ("https://user:pa/ss@host/x", "https://host/x"),
        ("https://host/x.git?private_token=abc#me", "https://host/x.git"),
        ("ssh://git@host/x.git", "ssh://git@host/x.git"),
        ("git+ssh://git:s3cret@host/x.git", "git+ssh://git@host/x.git"),
        ("git@host:x.git", "git@host:x.git"),
        ("/a/path@v1", "/a/path@v1"),
        ("https://host/path@v1", "https://host/path@v1"),
        ("http://host:5000/models/cnn@champion", "http://host:5000/models/cnn@champion"),
        ("http://user:s3cret@host:5000/cnn@champion", "http://host:5000/cnn@champion"),
        ("http://[::1]:5000/cnn@champion", "http://[::1]:5000/cnn@champion"),
        (
            "cannot read 'https://a:b@host/x': 'http://c:d@other/y' is gone",
            "cannot read 'https://host/x': 'http://other/y' is gone",
        ),
    ],
)
def test_addresses_lose_only_what_may_be_secret(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


_SECRET = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"], exclude_characters="\"'"), min_size=1)


@given(secret=_SECRET)
def test_no_password_survives(secret: str) -> None:
    marked = f"SECRET{secret}SECRET"
    assert "SECRET" not in without_credentials(f"https://user:{marked}@host.example/data.git")


_PATH = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"], exclude_characters="\"'?#/"))


@given(path=st.lists(_PATH).map("/".join), port=st.integers(0, 65535))
def test_path_after_a_port_is_not_a_password(path: str, port: int) -> None:
    address = f"http://host.example:{port}/{path}"
    assert without_credentials(address) == address


@pytest.mark.parametrize("pages", ["http://" * 4_000, "http://a:b " * 20_000, "mysql://a:" + "b" * 200_000])
def test_message_of_many_pages_is_read_in_seconds(pages: str) -> None:
    began = time.monotonic()
    without_credentials(pages)
    assert time.monotonic() - began < 20  # without limits it would take minutes
