"""Builds data versions into a registry. Everything happens in a temporary clone and is published by one atomic push at
the end: a build that fails leaves the registry as it was.

A registry is somebody else's text. DVC would run commands from its files, and Git would follow its links. So the clone
has no files but those that are written here.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fmnist.adapters.dvc.config import (
    CONFIG_FILE,
    check_place,
    own_config,
    own_remote,
    refuse_cloud_versions,
    remote_section,
    upload_options,
    write_config,
)
from fmnist.adapters.dvc.environment import AUTHORITIES, dvc_variables
from fmnist.adapters.dvc.git import tagged_commits
from fmnist.adapters.dvc.registry_files import COMMITTED, DVC_FILE, DVC_YAML, IGNORE_FILES, PARAMS_YAML, POINTERS
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.dvc.stages import PARAMS, parse_params
from fmnist.adapters.git.command import git, is_local, run, source_name
from fmnist.adapters.git.remote import clone, push
from fmnist.adapters.idx.sources import raw_directory
from fmnist.domain.model.address import Address, without_credentials
from fmnist.domain.model.data.data_version import full_tag
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable

logger = logging.getLogger(__name__)

_BRANCH = "main"
_FIRST_REMOTE = "storage"
_UPLOAD_REMOTE = "upload"


@dataclass(frozen=True, slots=True)
class Built:
    """A version that is in the registry now, the registry's name, and whether this build put the version there."""

    tag: str
    registry: str
    new: bool


class RegistryBuilder:
    """Makes versions from the official files.

    Args:
        settings: the registry; a local one that is absent is made. A first build needs `remote_url`.
        downloads: where the official files are kept from one build to the next.
        source: a directory of the user's that has them; nothing is downloaded then.
    """

    def __init__(self, settings: RegistrySettings, downloads: Path, source: Path | None = None) -> None:
        self._settings = settings
        self._downloads = downloads
        self._source = source

    def build(self, version: str) -> Built:
        """Build a version, or find that it is there already; a version never changes.

        Raises:
            InvalidSetting: no semantic version, or no place for the data.
            CorruptData: an official file holds something else.
            StoreUnavailable: no source has the official files, or the registry or its store cannot be written.
        """
        tag, name = full_tag(version), source_name(self._settings.repo)
        absent = is_local(self._settings.repo) and not Path(name).exists()
        if not absent and tag in tagged_commits(self._settings.repo):
            logger.info("%s is in %s already", tag, name)
            return Built(tag, name, new=False)
        raw = raw_directory(self._downloads, self._source)
        with tempfile.TemporaryDirectory(prefix="fmnist-build-") as scratch:
            check_place(scratch)  # a cache of DVC's lies in it
            work = _Checkout(Path(scratch, "registry"), raw, self._settings)
            work.start(None if absent else self._settings.repo)
            work.make(tag)
            new = self._publish(work, tag, first=absent)
        logger.info("%s is in %s", tag, name)
        return Built(tag, name, new=new)

    def _publish(self, work: "_Checkout", tag: str, *, first: bool) -> bool:
        """Return whether the version is in the registry by our doing, and not by that of somebody quicker."""
        if first and make_repository(Path(source_name(self._settings.repo)), lambda made: work.publish(made, tag)):
            return True
        if first and tag in tagged_commits(self._settings.repo):
            return False
        work.publish(self._settings.repo, tag)
        return True


def make_repository(place: Path, fill: Callable[[Address], None]) -> bool:
    """Make a bare repository, have it filled, and move it to its place as a whole.

    Returns:
        Whether it is there; False when somebody else made something there meanwhile, which is left alone.

    Raises:
        StoreUnavailable: it cannot be made.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".fmnist-build-") as scratch:
            made = Path(scratch, "registry.git")
            run(["git", "init", "--quiet", "--bare", f"--initial-branch={_BRANCH}", str(made)])
            fill(Address(str(made)))
            made.rename(place)  # which replaces nothing but an empty directory
    except OSError as error:
        if os.path.lexists(place):
            logger.info("somebody else made %s meanwhile", place)
            return False
        raise StoreUnavailable(f"{place} cannot be made: {error}") from error
    return True


class _Checkout:
    """The temporary clone that a version is made in."""

    def __init__(self, path: Path, raw: Path, settings: RegistrySettings) -> None:
        self._path = path
        self._raw = raw
        self._settings = settings
        self._source = source_name(settings.repo)

    def start(self, repo: Address | None) -> None:
        """Clone the registry, or start an empty one; write its pipeline as it is today."""
        if repo is None:
            run(["git", "init", "--quiet", f"--initial-branch={_BRANCH}", str(self._path)])
        else:
            clone(repo, self._path, "--no-checkout")
        files = self._committed_files()
        if any(file.startswith(".dvc/") for file in files):
            remote = self._remote_of_the_registry()
            (self._path / ".dvc").mkdir()
        else:
            remote = self._start_project()
        write_config(self._path / ".dvc/config.local", {remote_section(_UPLOAD_REMOTE): remote})
        for file in [PARAMS, *IGNORE_FILES]:
            if file in files:
                self._write(file, run(["git", "cat-file", "blob", f"HEAD:{file}"], cwd=self._path))
        if PARAMS not in files:
            self._write(PARAMS, PARAMS_YAML)
        try:
            parse_params((self._path / PARAMS).read_text(encoding="utf-8"))
        except InvalidSetting as error:
            raise InvalidSetting(f"{self._source}: {error}") from error
        self._write(DVC_FILE, DVC_YAML)

    def _committed_files(self) -> set[str]:
        """Return the registry's files, which stay in the index and so in the next commit."""
        if not run(["git", "for-each-ref", "--count=1", "refs/heads"], cwd=self._path):
            return set()
        git(self._path, "read-tree", "HEAD")
        git(self._path, "rm", "--quiet", "--cached", "--ignore-unmatch", "--", *POINTERS)  # stages make these now
        return set(git(self._path, "ls-files", "-z").split("\0"))

    def _write(self, file: str, text: str) -> None:
        path = self._path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _start_project(self) -> dict[str, str]:
        url, s3 = self._settings.remote_url, self._settings.s3
        if not url:
            raise InvalidSetting(
                f"{self._source} holds no data registry yet, and there is no place for its data: "
                "set DVC_REMOTE_URL to a directory or an s3:// address"
            )
        run(["git", "symbolic-ref", "HEAD", f"refs/heads/{_BRANCH}"], cwd=self._path)
        self._dvc("init", "--quiet")
        name = self._settings.remote or _FIRST_REMOTE
        # It is committed, so it holds no credentials.
        shared = {"url": url, **({"endpointurl": s3.endpoint_url} if s3.endpoint_url and url.startswith("s3:") else {})}
        core = {"remote": name, "analytics": "false", "check_update": "false"}
        write_config(self._path / CONFIG_FILE, {"core": core, remote_section(name): shared})
        git(self._path, "add", CONFIG_FILE)
        return upload_options(url, s3)

    def _remote_of_the_registry(self) -> dict[str, str]:
        """Return the DVC remote to push to: that of the settings, else the registry's own."""
        own_of_all, s3 = own_config(self._path, "HEAD", self._source), self._settings.s3
        if self._settings.remote_url:
            return upload_options(self._settings.remote_url, s3)
        name = self._settings.remote or own_of_all["core"].get("remote")
        own = own_remote(own_of_all, name)
        url = own.get("url", "")
        if not url.startswith(("/", "s3://")):
            found = (
                f"has {name!r} at {without_credentials(url)!r}"
                if url
                else f"has no DVC remote {name or 'of its own'!r}"
            )
            raise InvalidSetting(
                f"{self._source} {found}: set DVC_REMOTE to one that it has at an absolute directory or an s3:// "
                "address, or DVC_REMOTE_URL to such a place"
            )
        if own.get("version_aware") or own.get("worktree"):
            refuse_cloud_versions(self._source)
        return upload_options(url, s3, own)

    def make(self, tag: str) -> None:
        """Run the pipeline, push the data, and commit and tag what describes it."""
        logger.info("Running the pipeline: download, process, analyze")
        self._dvc("repro")
        logger.info("Pushing the data")
        self._dvc("push", "--remote", _UPLOAD_REMOTE)
        written = [file for file in COMMITTED if (self._path / file).exists()]
        git(self._path, "add", "--force", "--", *written)  # whatever the ignore files of others say
        # An empty commit when nothing differs from the version before: a tag of its own is still what was asked for.
        git(self._path, "commit", "--quiet", "--allow-empty", "--message", f"Build {tag}")
        git(self._path, "tag", "--annotate", "--message", f"Fashion-MNIST {tag}", tag)

    def publish(self, repo: Address, tag: str) -> None:
        """Push branch and tag together or not at all."""
        branch = run(["git", "symbolic-ref", "HEAD"], cwd=self._path).strip()
        try:
            push(self._path, repo, f"HEAD:{branch}", f"refs/tags/{tag}")
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"{tag} was built, but {self._source} did not take it: {error}. "
                "If someone else built at the same time, build again"
            ) from error

    def _dvc(self, *arguments: str) -> None:
        s3, python_path = self._settings.s3, os.environ.get("PYTHONPATH", "")  # noqa: TID251 - as DVC is started
        env = {
            # The stages are commands of this installation, be its bin directory in the PATH or not.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",  # noqa: TID251 - likewise
            # The clone is data: `-m`, and a relative path of the user's, would import from it.
            "PYTHONSAFEPATH": "1",
            "PYTHONPATH": os.pathsep.join(
                str(Path(entry).absolute()) for entry in python_path.split(os.pathsep) if entry
            ),
            "FMNIST_RAW_DIR": str(self._raw.absolute()),
            **({"AWS_ACCESS_KEY_ID": s3.access_key_id} if s3.access_key_id else {}),
            **({"AWS_SECRET_ACCESS_KEY": s3.secret_access_key} if s3.secret_access_key else {}),
        }
        with dvc_variables() as own:
            run([sys.executable, "-m", "dvc", *arguments], cwd=self._path, env={**env, **own, **AUTHORITIES})
