"""`DataRegistry` on a Git repository with DVC: `registry` reads data versions, `builder` builds them."""

from fmnist.adapters.dvc.environment import AUTHORITIES
from fmnist.adapters.environment import exported

with exported(AUTHORITIES):
    import pygit2  # noqa: F401 - before DVC imports it, because it reads AUTHORITIES at import
