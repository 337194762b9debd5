"""Builds data versions into a registry. Everything happens in a temporary clone and is published by one atomic push at
the end: a build that fails leaves the registry as it was.
"""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dvc.repo import Repo

from fmnist.adapters.dvc.git import tagged_commits
from fmnist.adapters.dvc.pipeline import DVC_YAML, PARAMS_YAML, UPLOAD_REMOTE, shared_config, upload_config
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.git.command import git, is_local, run, source_name
from fmnist.adapters.git.remote import clone, push
from fmnist.adapters.idx.sources import raw_directory
from fmnist.domain.model.addresses import Address
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable
from fmnist.domain.model.versions import full_tag

logger = logging.getLogger(__name__)

_BRANCH = "main"
_FIRST_REMOTE = "storage"


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
            work = _Checkout(Path(scratch, "registry"), raw, self._settings)
            work.start(None if absent else self._settings.repo)
            work.make(tag)
            with _made_if_absent(name, absent):
                work.publish(tag)
        logger.info("%s is in %s", tag, name)
        return Built(tag, name, new=True)


class _Checkout:
    """The temporary clone that a version is made in."""

    def __init__(self, path: Path, raw: Path, settings: RegistrySettings) -> None:
        self._path = path
        self._raw = raw
        self._settings = settings
        self._remote = UPLOAD_REMOTE

    def start(self, repo: Address | None) -> None:
        """Clone the registry, or start an empty one; bring its pipeline up to date."""
        if repo is None:
            run(["git", "init", "--quiet", f"--initial-branch={_BRANCH}", str(self._path)])
        else:
            clone(repo, self._path)
        if not (self._path / ".dvc").exists():
            self._start_project()
        (self._path / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
        if not (self._path / "params.yaml").exists():
            (self._path / "params.yaml").write_text(PARAMS_YAML, encoding="utf-8")
        self._remote, url = self._upload_remote()
        config = upload_config(self._remote, url, self._settings.s3)
        (self._path / ".dvc/config.local").write_text(config, encoding="utf-8")

    def _start_project(self) -> None:
        if not self._settings.remote_url:
            raise InvalidSetting(
                f"{source_name(self._settings.repo)} holds no data registry yet, and there is no place for its data: "
                "set DVC_REMOTE_URL to a directory or an s3:// address"
            )
        run(["git", "symbolic-ref", "HEAD", f"refs/heads/{_BRANCH}"], cwd=self._path)
        self._dvc("init", "--quiet")
        config = shared_config(
            self._settings.remote or _FIRST_REMOTE, self._settings.remote_url, self._settings.s3.endpoint_url
        )
        (self._path / ".dvc/config").write_text(config, encoding="utf-8")

    def _upload_remote(self) -> tuple[str, str]:
        """Return name and address of the DVC remote to push to: that of the settings, else the registry's own."""
        if self._settings.remote_url:
            return UPLOAD_REMOTE, self._settings.remote_url
        with Repo(str(self._path)) as project:
            name = self._settings.remote or project.config["core"].get("remote")
            url = project.config["remote"].get(name, {}).get("url")
        if not url:
            raise InvalidSetting(
                f"{source_name(self._settings.repo)} has no DVC remote {name or 'of its own'!r}: set DVC_REMOTE to one "
                "that it has, or DVC_REMOTE_URL to a directory or an s3:// address"
            )
        return name, url

    def make(self, tag: str) -> None:
        """Run the pipeline, push the data, and commit and tag what describes it."""
        logger.info("Running the pipeline: download, process, analyze")
        self._dvc("repro")
        logger.info("Pushing the data")
        self._dvc("push", "--remote", self._remote)
        git(self._path, "add", "--all")
        # An empty commit when nothing differs from the version before: a tag of its own is still what was asked for.
        git(self._path, "commit", "--quiet", "--allow-empty", "--message", f"Build {tag}")
        git(self._path, "tag", "--annotate", "--message", f"Fashion-MNIST {tag}", tag)

    def publish(self, tag: str) -> None:
        """Push branch and tag together or not at all."""
        branch = run(["git", "symbolic-ref", "HEAD"], cwd=self._path).strip()
        try:
            push(self._path, self._settings.repo, f"HEAD:{branch}", f"refs/tags/{tag}")
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"{tag} was built, but {source_name(self._settings.repo)} did not take it: {error}. "
                "If someone else built at the same time, build again"
            ) from error

    def _dvc(self, *arguments: str) -> None:
        s3, python_path = self._settings.s3, os.environ.get("PYTHONPATH", "")
        env = {
            # The stages are commands of this installation, be its bin directory in the PATH or not.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            # The clone is data: `-m`, and a relative path of the user's, would import from it.
            "PYTHONSAFEPATH": "1",
            "PYTHONPATH": os.pathsep.join(
                str(Path(entry).absolute()) for entry in python_path.split(os.pathsep) if entry
            ),
            "FMNIST_RAW_DIR": str(self._raw.absolute()),
            **({"AWS_ACCESS_KEY_ID": s3.access_key_id} if s3.access_key_id else {}),
            **({"AWS_SECRET_ACCESS_KEY": s3.secret_access_key} if s3.secret_access_key else {}),
        }
        run([sys.executable, "-m", "dvc", *arguments], cwd=self._path, env=env)


@contextmanager
def _made_if_absent(address: str, absent: bool) -> Iterator[None]:  # noqa: FBT001 (private, one caller)
    """Make the bare repository for the time of publishing, and keep it only when that succeeds."""
    if not absent:
        yield
        return
    try:
        run(["git", "init", "--quiet", "--bare", f"--initial-branch={_BRANCH}", address])
        yield
    except BaseException:
        shutil.rmtree(address, ignore_errors=True)
        raise
