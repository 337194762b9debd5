"""Advice for a repository that Git cannot use. Git's message tells the cause."""

import re
import shlex

from fmnist.adapters.environment import proxy_advice
from fmnist.adapters.git.command import is_local, source_name
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable

_OWNER = re.compile(r"dubious ownership in repository at '(?P<place>.+)'")
_SETTING = re.compile(r"bad (\w+ )?config value .*for '")
_HOST_KEY = re.compile(r"Host key verification failed|HOST IDENTIFICATION HAS CHANGED", re.IGNORECASE)
_REFUSED = re.compile(
    r"Authentication failed|could not read (Username|Password)|terminal prompts disabled|Permission denied"
    r"|error: 40[13]|Access denied",
    re.IGNORECASE,
)
_DISTRUST = re.compile(r"\bcertificate\b|\bSSL[ _]|gnutls", re.IGNORECASE)
_PROXY = re.compile(r"CONNECT tunnel failed|from proxy after CONNECT|error: 407|resolve proxy", re.IGNORECASE)
_NO_ANSWER = re.compile(
    r"got no answer|Could not resolve|Connection (refused|reset|closed|timed out)|timed out|Failed to connect"
    r"|Couldn't connect|unable to connect|No route to host|Network is unreachable|error: 5\d\d|hung up",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"does not appear to be a git repository|repository '.*' (not found|does not exist)|Repository not found"
    r"|not a git repository|error: 404",
    re.IGNORECASE,
)


def advice(error: StoreUnavailable, repo: Address, variable: str, absent: str) -> str | None:
    """Return what the user can do about an error of Git, or None if its message tells no cause.

    Args:
        repo: the repository that Git was given.
        variable: the environment variable that holds its address.
        absent: the advice for a repository that does not exist.
    """
    said = str(error)
    if owner := _OWNER.search(said):
        return (
            f"{owner['place']} belongs to another user: work as that user, or, if you trust whoever can write to it, "
            f"run `git config --global --add safe.directory {shlex.quote(owner['place'])}`"
        )
    if _SETTING.search(said):
        return "correct that setting of your Git; `git config --list --show-origin` shows where it is"
    if _HOST_KEY.search(said):
        return (
            "ssh does not know this host, or its key has changed: compare the key with the one that the host's owner "
            "publishes, and add it to known_hosts"
        )
    if _DISTRUST.search(said):
        return "set GIT_SSL_CAINFO, or Git's http.sslCAInfo, to the CA certificate file of the server"
    proxy = proxy_advice(str(repo), for_git=True)
    if _PROXY.search(said):
        return proxy or "check Git's http.proxy"
    if _NO_ANSWER.search(said):
        reach = f"check that the server runs and can be reached from here, and check {variable}"
        return "; ".join(filter(None, (reach, proxy)))
    if _ABSENT.search(said) or (is_local(repo) and "does not exist" in said):
        return absent
    if _REFUSED.search(said) and not is_local(repo):
        return f"check the user and password in {variable}, or the credential helper or ssh key that Git uses"
    if _REFUSED.search(said):
        return f"check who may read and write {source_name(repo)}"
    return None
