"""Advice about the proxy variables, for error messages about a server."""

import os
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import InvalidSetting


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
    if for_git and "http_proxy" not in os.environ:  # noqa: TID251 - Git reads this variable
        proxies.pop("http", None)
    kind = parts.scheme if parts.scheme in proxies else "all"
    if kind not in proxies or any(map(proxy_bypass, (parts.hostname, parts.netloc.rpartition("@")[2]))):
        return None
    name, proxy = f"{kind}_proxy", proxies[kind]
    # Clients prefer the variable in lower case.
    variable = name if name in os.environ else name.upper()  # noqa: TID251 - clients read these variables
    try:
        shown = f", which names the proxy {Address(proxy if '://' in proxy else f'http://{proxy}')}"
    except InvalidSetting:
        shown = ""
    setting = ", or Git's http.proxy" if for_git else ""
    return f"check {variable}{shown}{setting}; list {parts.hostname} in NO_PROXY to reach it without a proxy"
