import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.addresses import without_credentials


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
def test_addresses_lose_what_may_be_secret_and_nothing_else(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


_SECRET = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"], exclude_characters="\"'"), min_size=1)


@given(secret=_SECRET)
def test_no_password_survives(secret: str) -> None:
    marked = f"SECRET{secret}SECRET"
    assert "SECRET" not in without_credentials(f"https://user:{marked}@host.example/data.git")


_PATH = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"], exclude_characters="\"'?#/"))


@given(path=st.lists(_PATH).map("/".join), port=st.integers(0, 65535))
def test_path_on_a_port_is_no_password(path: str, port: int) -> None:
    address = f"http://host.example:{port}/{path}"
    assert without_credentials(address) == address
