"""The proxy of the environment that stands before a server, for whoever is told that it fails."""

import os
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from fmnist.domain.model.addresses import Address
from fmnist.domain.model.errors import InvalidSetting


def proxy_advice(url: str) -> str | None:
    """Return what to look at when this URL's proxy fails, or None where the environment names none for it."""
    if not url.startswith(("http://", "https://")):
        return None
    parts, proxies = urlsplit(url), getproxies_environment()
    kind = parts.scheme if parts.scheme in proxies else "all"
    if kind not in proxies or proxy_bypass(parts.hostname or ""):
        return None
    name, proxy = f"{kind}_proxy", proxies[kind]
    variable = name if name in os.environ else name.upper()  # of both it is the small one that counts
    try:
        shown = f", which names the proxy {Address(proxy if '://' in proxy else f'http://{proxy}')}"
    except InvalidSetting:
        shown = ""
    return f"check {variable}{shown}; list {parts.hostname} in NO_PROXY to reach it without a proxy"
