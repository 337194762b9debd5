"""Environment variables that vendors read: sets defaults and temporary values, and gives advice about proxies."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import InvalidSetting


def set_defaults(variables: Mapping[str, str]) -> None:
    """Set the variables that are not set yet."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)


@contextmanager
def exported(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process inside of the block, and restore them afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def proxy_advice(url: str, *, for_git: bool = False) -> str | None:
    """Return advice about the proxy that the environment sets for this URL, or None without such a proxy.

    Git also has a setting, `http.proxy`. It ignores the variable HTTP_PROXY in upper case.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    proxies = getproxies_environment()
    if for_git and "http_proxy" not in os.environ:
        proxies.pop("http", None)
    kind = parts.scheme if parts.scheme in proxies else "all"
    if kind not in proxies or any(map(proxy_bypass, (parts.hostname, parts.netloc.rpartition("@")[2]))):
        return None
    name, proxy = f"{kind}_proxy", proxies[kind]
    # Clients prefer the variable in lower case.
    variable = name if name in os.environ else name.upper()
    try:
        shown = f", which names the proxy {Address(proxy if '://' in proxy else f'http://{proxy}')}"
    except InvalidSetting:
        shown = ""
    setting = ", or Git's http.proxy" if for_git else ""
    return f"check {variable}{shown}{setting}; list {parts.hostname} in NO_PROXY to reach it without a proxy"
