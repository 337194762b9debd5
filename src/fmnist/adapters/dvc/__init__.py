"""`DataRegistry` on a Git repository with DVC: `registry` reads versions, `builder` makes them."""

from fmnist.adapters.dvc.environment import AUTHORITIES
from fmnist.adapters.environment import exported

with exported(AUTHORITIES):
    import pygit2  # noqa: F401 - here first, before DVC imports it
