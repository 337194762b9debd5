"""Addresses as they may be shown: in messages, tags and logs, where others read them."""

import re

# Up to the last @ of the authority, for a password may hold one; and past a slash when a password holds that, which no
# address with a port can be taken for: what follows `host:5000/` is a path, whatever it holds.
_USER = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)"
    r"(?!(?:\[[^\s\]]*\](?::\d*)?|[^\s'\"/:@]+:\d*)/)"
    r"(?P<user>[^\s'\"/]*|[^\s'\"/:]+:[^\s'\"]*)@"
)
_QUERY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s'\"?#]*)[?#][^\s'\"]*")


def without_credentials(text: str) -> str:
    """Return a URL, or a message with URLs in it, without user, password and query, any of which may be a secret.

    The user of an ssh address stays: it is part of the address.
    """
    return _QUERY.sub(r"\1", _USER.sub(_shown, text))


def _shown(found: re.Match[str]) -> str:
    scheme = found["scheme"]
    return f"{scheme}{found['user'].partition(':')[0]}@" if scheme.endswith("ssh://") else scheme
