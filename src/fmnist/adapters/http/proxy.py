"""Advice about the environment's proxy, for messages about a server that fails."""

import os
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import InvalidSetting


def proxy_advice(url: str, *, for_git: bool = False) -> str | None:
    """Return what to check when this URL's proxy fails, or None if the environment names no proxy for it.

    Git has its own setting, and ignores HTTP_PROXY in upper case.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    proxies = getproxies_environment()
    if for_git and "http_proxy" not in os.environ:  # noqa: TID251 - Git reads it
        proxies.pop("http", None)
    kind = parts.scheme if parts.scheme in proxies else "all"
    if kind not in proxies or any(map(proxy_bypass, (parts.hostname, parts.netloc.rpartition("@")[2]))):
        return None
    name, proxy = f"{kind}_proxy", proxies[kind]
    # If both are set, clients use the one in lower case.
    variable = name if name in os.environ else name.upper()  # noqa: TID251 - every client reads them
    try:
        shown = f", which names the proxy {Address(proxy if '://' in proxy else f'http://{proxy}')}"
    except InvalidSetting:
        shown = ""
    setting = ", or Git's http.proxy" if for_git else ""
    return f"check {variable}{shown}{setting}; list {parts.hostname} in NO_PROXY to reach it without a proxy"
