"""Addresses that may hold credentials, and messages that may hold such addresses. Neither shows a secret."""

import ipaddress
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from fmnist.domain.model.errors import InvalidSetting

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
# Neither a path nor Git's `user@host:path`.
_NO_SCHEME = re.compile(r"(?://|(?![/.~]))[^/@]*:.*@", re.DOTALL)
_DATABASES = r"(?:mysql|mariadb|postgres(?:ql)?|mssql|oracle)(?:\+\w+)?"
_DEFAULT_PORTS = {"http": 80, "https": 443, "mysql": 3306, "mariadb": 3306, "postgresql": 5432, "mssql": 1433}
LOOPBACK = ("localhost", "127.0.0.1", "::1")  # the usual names of it, for what takes no rule


class Address:
    """A URL, a path, or Git's `user@host:path`. However it is printed, user, password and query do not show.

    The user of an ssh address shows: it is no secret there. This is no dataclass, for `asdict` would hand out the text.

    Raises:
        InvalidSetting: a URL that can be read with two different hosts.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        _split(text)

    def reveal(self) -> str:
        """Return the address with its credentials, for the vendor that connects to it."""
        return self._text

    def credentials(self) -> tuple[str, str | None] | None:
        """Return user and password as they are sent, or None; the password is None where there is a user alone."""
        user = _split(self._text).user
        if user is None:
            return None
        name, colon, password = user.partition(":")
        return _decoded(name), _decoded(password) if colon else None

    @property
    def has_query(self) -> bool:
        """Whether a ? or # follows the path, with what does not show."""
        rest = _split(self._text).rest
        return _before_query(rest) != rest

    @property
    def identity(self) -> str:
        """One name for one place, however its address is written: with a user or not, with its default port or not."""
        if found := re.fullmatch(r"sqlite(?:\+\w+)?:///(?P<path>[^?]*).*", self._text, re.DOTALL):
            return f"sqlite:///{Path(unquote(found['path'])).resolve()}"
        try:
            url = urlsplit(str(self))
            scheme, host, port = url.scheme.partition("+")[0], (url.hostname or "").rstrip("."), url.port
        except ValueError:
            return str(self)
        if not host:
            return str(self)
        host = "localhost" if is_loopback(host) else str(number_of(host) or host)
        return f"{scheme}://{host}:{port or _DEFAULT_PORTS.get(scheme, '')}/{unquote(url.path).strip('/')}"

    def __str__(self) -> str:
        scheme, user, rest = _split(self._text)
        if scheme.lower() in {"", "sqlite"}:
            return self._text
        kept = f"{user.partition(':')[0]}@" if user and _is_ssh(scheme) else ""
        return f"{scheme}://{kept}{_before_query(rest)}"

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Address) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def is_loopback(host: str) -> bool:
    """Return whether a host, without brackets, is this machine by its loopback interface."""
    number = number_of(host)
    return host.rstrip(".").lower().rpartition(".")[2] == "localhost" if number is None else number.is_loopback


def number_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the number that a host is written as, one of IPv4 where it is mapped into IPv6; None for a name."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(number, "ipv4_mapped", None) or number


class _Parts(NamedTuple):
    scheme: str  # empty where the text is no URL, and all of it is the rest
    user: str | None  # with the password
    rest: str


def _split(text: str) -> _Parts:
    """Take a URL apart as its vendor would, or, where the password is not encoded, as its author meant it."""
    if (url := _URL.match(text)) is None:
        if _NO_SCHEME.match(text):
            raise InvalidSetting("an address has a user and password, and no scheme such as http:// before them")
        return _Parts("", None, text)
    scheme, rest = url["scheme"], url["rest"]
    database = re.fullmatch(_DATABASES, scheme, re.IGNORECASE) is not None
    place = _before_query(rest)
    authority, _, path = place.partition("/")
    if "@" in authority and not database:
        user, _, host = authority.rpartition("@")
        if "@" in path and (":" in user or not _is_ssh(scheme)):
            raise InvalidSetting(
                "an address has an @ both before and after its first /: in a user or password, write %40 for @ and "
                "%2F for /"
            )
        return _Parts(scheme, user, host + rest[len(authority) :])
    ends_in_port = re.match(r"[^/:@]+:\d+(?:[/?#]|$)", rest) is not None
    if "@" in rest and re.match(r"[^/:@\s\[]*[:@]", rest) and (database or not ends_in_port):
        # SQLAlchemy takes a password with / and ? in it. Elsewhere it is a slip, whose password must not show either.
        end = (place if "@" in place else rest).rindex("@")
        return _Parts(scheme, rest[:end], rest[end + 1 :])
    return _Parts(scheme, None, rest)


def _is_ssh(scheme: str) -> bool:
    return scheme.lower().endswith("ssh")


def _before_query(rest: str) -> str:
    return re.split(r"[?#]", rest, maxsplit=1)[0]


def _decoded(text: str) -> str:
    return unquote(text, errors="surrogateescape")


# In a message nobody says where an address ends. A user has no space, quote or slash; a password may have any of them.
# All lengths are bounded, for a vendor may put pages into one line.
_SCHEME = r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,30}://"
_NAME = r"[^\s'\"/:@\[]{0,200}"
_WORD = r"\S{0,4096}"
_LINE = r"[^\n]{0,300}"
_HOST_AND_PORT = r"(?:\[[^\s\]]{0,60}\](?::\d{0,5})?|[^\s'\"/:@]{1,253}:\d{1,5})(?:[/\s'\"?#,;)]|$)"
_USER = re.compile(
    rf"(?P<database>{_DATABASES}://)(?:(?!{_HOST_AND_PORT}){_NAME}:{_LINE}|{_NAME}:{_WORD}|{_NAME})@"
    rf"|(?P<scheme>{_SCHEME})(?!{_HOST_AND_PORT})(?P<user>"
    rf"[^\s'\"/]{{0,4096}}(?=@(?!{_WORD}@)|@[\w.-]{{1,253}}:\d{{1,5}}/)"  # as it should be: no slash in it
    rf"|{_NAME}:{_WORD}|{_NAME}:(?=\S){_LINE})@",
    re.IGNORECASE,
)
_QUERY = re.compile(rf"(?!sqlite:)({_SCHEME}[^\s'\"?#]{{0,4096}})[?#][^\s'\"]*")


def without_credentials(message: str) -> str:
    """Return a message of a vendor without user, password and query of the URLs in it, as far as they can be told.

    In doubt too much is left out. What is known to be an address is an `Address`, which needs no guess.
    """
    return _QUERY.sub(r"\1", _USER.sub(_shown, message))


def _shown(found: re.Match[str]) -> str:
    if found["database"]:
        return found["database"]
    scheme = found["scheme"]
    return f"{scheme}{found['user'].partition(':')[0]}@" if _is_ssh(scheme.removesuffix("://")) else scheme
