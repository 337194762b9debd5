"""`DataRegistry` on a Git repository with DVC: `registry` reads data versions, `builder` builds them."""

import certifi

from fmnist.adapters.environment import exported

# pygit2 reads this file at import, and fails if it cannot. We never use TLS through it, so any valid file will do.
AUTHORITIES = {"SSL_CERT_FILE": certifi.where()}

with exported(AUTHORITIES):
    import pygit2  # noqa: F401 - before DVC imports it
