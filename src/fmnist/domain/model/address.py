"""Redacts credentials from addresses, and from messages that contain addresses."""

import ipaddress
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from fmnist.domain.model.errors import InvalidSetting

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
# Credentials without a scheme, but neither a path nor Git's `user@host:path`.
_NO_SCHEME = re.compile(r"(?://|(?![/.~]))[^/@]*:.*@", re.DOTALL)
_DATABASES = r"(?:mysql|mariadb|postgres(?:ql)?|mssql|oracle)(?:\+\w+)?"
_DEFAULT_PORTS = {"http": 80, "https": 443, "mysql": 3306, "mariadb": 3306, "postgresql": 5432, "mssql": 1433}
LOOPBACK = ("localhost", "127.0.0.1", "::1")  # usual loopback hosts, for software that takes a list of hosts


class Address:
    """A URL, a path, or Git's `user@host:path`. Its printed forms omit user, password and query.

    The user of an ssh address is printed, because it is no secret. This is not a dataclass, because `asdict` would
    reveal the credentials.

    Raises:
        InvalidSetting: a URL can be read with two different hosts, or credentials have no scheme before them.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        _split(text)

    def reveal(self) -> str:
        """Return the address with its credentials, for the vendor that connects to it."""
        return self._text

    def credentials(self) -> tuple[str, str | None] | None:
        """Return the decoded user and password, or None without a user. The password is None if there is none."""
        user = _split(self._text).user
        if user is None:
            return None
        name, colon, password = user.partition(":")
        return _decoded(name), _decoded(password) if colon else None

    @property
    def has_query(self) -> bool:
        """Whether a ? or # follows the path. The printed forms omit it and the rest."""
        rest = _split(self._text).rest
        return _before_query(rest) != rest

    @property
    def identity(self) -> str:
        """One name for one place. Addresses with and without a user or the default port have the same name."""
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
    """Return whether a host, without brackets, is the loopback interface of this machine."""
    number = number_of(host)
    return host.rstrip(".").lower().rpartition(".")[2] == "localhost" if number is None else number.is_loopback


def number_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address of a host written as numbers, or None for a name. IPv4 in IPv6 form becomes IPv4."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(number, "ipv4_mapped", None) or number


class _Parts(NamedTuple):
    scheme: str  # empty if the text is not a URL; `rest` is then the whole text
    user: str | None  # with the password
    rest: str


def _split(text: str) -> _Parts:
    """Split a URL as its vendor would. If the password is not percent-encoded, split it as its author meant it."""
    if (url := _URL.match(text)) is None:
        if _NO_SCHEME.match(text):
            raise InvalidSetting("an address has credentials without a scheme: put one such as http:// before them")
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
        # SQLAlchemy accepts / and ? in a password. Elsewhere it is a mistake, but the password must not show either.
        end = (place if "@" in place else rest).rindex("@")
        return _Parts(scheme, rest[:end], rest[end + 1 :])
    return _Parts(scheme, None, rest)


def _is_ssh(scheme: str) -> bool:
    return scheme.lower().endswith("ssh")


def _before_query(rest: str) -> str:
    return re.split(r"[?#]", rest, maxsplit=1)[0]


def _decoded(text: str) -> str:
    return unquote(text, errors="surrogateescape")


# A message does not mark the end of an address. A user has no space, quote or slash, but a password may have them.
# All lengths are bounded, because a vendor may write pages into one line.
_SCHEME = r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,30}://"
_NAME = r"[^\s'\"/:@\[]{0,200}"
_WORD = r"\S{0,4096}"
_LINE = r"[^\n]{0,300}"
_HOST_AND_PORT = r"(?:\[[^\s\]]{0,60}\](?::\d{0,5})?|[^\s'\"/:@]{1,253}:\d{1,5})(?:[/\s'\"?#,;)]|$)"
_USER = re.compile(
    rf"(?P<database>{_DATABASES}://)(?:(?!{_HOST_AND_PORT}){_NAME}:{_LINE}|{_NAME}:{_WORD}|{_NAME})@"
    rf"|(?P<scheme>{_SCHEME})(?!{_HOST_AND_PORT})(?P<user>"
    rf"[^\s'\"/]{{0,4096}}(?=@(?!{_WORD}@)|@[\w.-]{{1,253}}:\d{{1,5}}/)"  # the regular form: no slash in it
    rf"|{_NAME}:{_WORD}|{_NAME}:(?=\S){_LINE})@",
    re.IGNORECASE,
)
_QUERY = re.compile(rf"(?!sqlite:)({_SCHEME}[^\s'\"?#]{{0,4096}})[?#][^\s'\"]*")


def without_credentials(message: str) -> str:
    """Return a vendor's message without user, password and query of its URLs, as far as they can be recognized.

    In doubt it removes too much. Text that is known to be an address belongs in an `Address`, which does not guess.
    """
    return _QUERY.sub(r"\1", _USER.sub(_shown, message))


def _shown(found: re.Match[str]) -> str:
    if found["database"]:
        return found["database"]
    scheme = found["scheme"]
    return f"{scheme}{found['user'].partition(':')[0]}@" if _is_ssh(scheme.removesuffix("://")) else scheme
