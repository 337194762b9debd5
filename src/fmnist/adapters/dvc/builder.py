"""Builds data versions into a registry. A build works in a temporary clone and ends with one atomic push: a build that
fails does not change the registry.

A registry is not trusted. DVC would run commands from its files, and Git would follow its links. So the clone contains
only the files that this module writes.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fmnist.adapters.dvc import AUTHORITIES
from fmnist.adapters.dvc.config import (
    CONFIG_FILE,
    check_place,
    dvc_variables,
    own_config,
    own_remote,
    refuse_cloud_versions,
    remote_section,
    upload_options,
    write_config,
)
from fmnist.adapters.dvc.git import tagged_commits
from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.registry_files import COMMITTED, DVC_FILE, IGNORE_FILES, PARAMS_YAML, POINTERS, dvc_yaml
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.dvc.stages import PARAMS, check_files, parse_params
from fmnist.adapters.git.command import git, is_local, run, source_name
from fmnist.adapters.git.remote import clone, push
from fmnist.adapters.idx.files import TRAINING_IMAGES
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
    """A version that is in the registry now, the registry's name, and whether this build added the version."""

    tag: str
    registry: str
    new: bool


class RegistryBuilder:
    """Builds versions from the official files.

    Args:
        settings: the registry; a local one that does not exist is created. A first build needs `remote_url`.
        downloads: folder that caches the official files between builds.
        source: the user's own directory with the official files or a copy. If given, nothing is downloaded.
    """

    def __init__(self, settings: RegistrySettings, downloads: Path, source: Path | None = None) -> None:
        self._settings = settings
        self._downloads = downloads
        self._source = source

    def build(self, version: str, files: int | None = None) -> Built:
        """Build a version whose train split has so many files, unless the registry has the version already.

        A version never changes. None files are one in a new version, and any number in one that exists.

        Raises:
            InvalidSetting: `version` is not a semantic version, or exists with another number of files. Also if there
                are more files than images, no place for the data, or other data in a copy.
            CorruptData: an official file has the wrong content.
            StoreUnavailable: no source has the official files, or the registry or its store cannot be written.
        """
        tag, name = full_tag(version), source_name(self._settings.repo)
        absent = is_local(self._settings.repo) and not Path(name).exists()
        if not absent and tag in tagged_commits(self._settings.repo):
            logger.info("%s is in %s already", tag, name)
            self._check_files(tag, files)
            return Built(tag, name, new=False)
        raw = raw_directory(self._downloads, self._source)
        with tempfile.TemporaryDirectory(prefix="fmnist-build-") as scratch:
            check_place(scratch)  # DVC's cache lies in it
            work = _Checkout(Path(scratch, "registry"), raw, self._settings)
            work.start(None if absent else self._settings.repo, 1 if files is None else files)
            work.make(tag)
            new = self._publish(work, tag, first=absent)
        if not new:
            self._check_files(tag, files)
        logger.info("%s is in %s", tag, name)
        return Built(tag, name, new=new)

    def _check_files(self, tag: str, files: int | None) -> None:
        """Refuse an existing version whose train split has another number of files."""
        if files is not None and (found := len(DvcDataRegistry(self._settings).resolve(tag).files("train"))) != files:
            raise InvalidSetting(
                f"{tag} is already in {source_name(self._settings.repo)}, and the number of files of its train split "
                f"is {found}, not {files}: a version never changes, so choose another --version"
            )

    def _publish(self, work: "_Checkout", tag: str, *, first: bool) -> bool:
        """Publish the version; return False if another process published the same version first."""
        if first and make_repository(Path(source_name(self._settings.repo)), lambda made: work.publish(made, tag)):
            return True
        if first and tag in tagged_commits(self._settings.repo):
            return False
        work.publish(self._settings.repo, tag)
        return True


def make_repository(place: Path, fill: Callable[[Address], None]) -> bool:
    """Create a bare repository, let `fill` push to it, and move it to `place` in one step.

    Returns:
        True if it is there; False if another process created something at `place` meanwhile, which is not touched.

    Raises:
        StoreUnavailable: it cannot be created.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".fmnist-build-") as scratch:
            made = Path(scratch, "registry.git")
            run(["git", "init", "--quiet", "--bare", f"--initial-branch={_BRANCH}", str(made)])
            fill(Address(str(made)))
            made.rename(place)  # it replaces only an empty directory
    except OSError as error:
        if os.path.lexists(place):
            logger.info("another process created %s meanwhile", place)
            return False
        raise StoreUnavailable(f"{place} cannot be created: {error}") from error
    return True


class _Checkout:
    """The temporary clone in which a version is built."""

    def __init__(self, path: Path, raw: Path, settings: RegistrySettings) -> None:
        self._path = path
        self._raw = raw
        self._settings = settings
        self._source = source_name(settings.repo)

    def start(self, repo: Address | None, files: int) -> None:
        """Clone the registry, or start an empty one, and write the current pipeline files into it.

        `files` is the number of files of the train split.
        """
        if repo is None:
            run(["git", "init", "--quiet", f"--initial-branch={_BRANCH}", str(self._path)])
        else:
            clone(repo, self._path, "--no-checkout")
        committed = self._committed_files()
        if any(file.startswith(".dvc/") for file in committed):
            remote = self._remote_of_the_registry()
            (self._path / ".dvc").mkdir()
        else:
            remote = self._start_project()
        write_config(self._path / ".dvc/config.local", {remote_section(_UPLOAD_REMOTE): remote})
        for file in [PARAMS, *IGNORE_FILES]:
            if file in committed:
                self._write(file, git(self._path, "cat-file", "blob", f"HEAD:{file}"))
        if PARAMS not in committed:
            self._write(PARAMS, PARAMS_YAML)
        try:
            val_size, _ = parse_params((self._path / PARAMS).read_text(encoding="utf-8"))
        except InvalidSetting as error:
            raise InvalidSetting(f"{self._source}: {error}") from error
        check_files(files, max(TRAINING_IMAGES - val_size, 1))  # a stage refuses a val_size that is too large
        self._write(DVC_FILE, dvc_yaml(files))

    def _committed_files(self) -> set[str]:
        """Return the registry's files. They stay in the index, and so in the next commit."""
        if not git(self._path, "for-each-ref", "--count=1", "refs/heads"):
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
                f"{self._source} holds no data registry yet, and no place for its data is set: "
                "set DVC_REMOTE_URL to a directory or an s3:// address"
            )
        git(self._path, "symbolic-ref", "HEAD", f"refs/heads/{_BRANCH}")
        self._dvc("init", "--quiet")
        name = self._settings.remote or _FIRST_REMOTE
        # This is committed, so it must hold no credentials.
        shared = {"url": url, **({"endpointurl": s3.endpoint_url} if s3.endpoint_url and url.startswith("s3:") else {})}
        core = {"remote": name, "analytics": "false", "check_update": "false"}
        write_config(self._path / CONFIG_FILE, {"core": core, remote_section(name): shared})
        git(self._path, "add", CONFIG_FILE)
        return upload_options(url, s3)

    def _remote_of_the_registry(self) -> dict[str, str]:
        """Return the DVC remote to push to: from the settings, or else the registry's own."""
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
                f"{self._source} {found}: set DVC_REMOTE to a remote of the registry whose URL is an absolute "
                "directory or an s3:// address, or set DVC_REMOTE_URL to such a place"
            )
        if own.get("version_aware") or own.get("worktree"):
            refuse_cloud_versions(self._source)
        return upload_options(url, s3, own)

    def make(self, tag: str) -> None:
        """Run the pipeline, push the data, and commit and tag the files that describe it."""
        logger.info("Running the pipeline: download, process, analyze")
        self._dvc("repro")
        logger.info("Pushing the data")
        self._dvc("push", "--remote", _UPLOAD_REMOTE)
        written = [file for file in COMMITTED if (self._path / file).exists()]
        git(self._path, "add", "--force", "--", *written)  # an ignore file of the registry could exclude them
        # The commit is empty when nothing changed since the last version. The new version still needs its own tag.
        git(self._path, "commit", "--quiet", "--allow-empty", "--message", f"Build {tag}")
        git(self._path, "tag", "--annotate", "--message", f"Fashion-MNIST {tag}", tag)

    def publish(self, repo: Address, tag: str) -> None:
        """Push the branch and the tag in one atomic push."""
        branch = git(self._path, "symbolic-ref", "HEAD").strip()
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
            # Stages run commands of this installation, even if its bin directory is not in PATH.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",  # noqa: TID251 - likewise
            # Never import from the clone, as `-m` or a relative PYTHONPATH would: it is not trusted.
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
