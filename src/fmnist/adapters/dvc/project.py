"""A DVC project at one commit: the files that DVC tracks, with their locations and hashes.

DVC delivers no content here, not even the list of files of a tracked directory (docs/adr/0003, docs/adr/0023).
"""

import json
import posixpath
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dvc.api import DVCFileSystem
from dvc.config import NoRemoteError, RemoteConfigError
from dvc.exceptions import DvcException
from dvc.repo.open_repo import clean_repos
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.index import DataIndexEntry, FileStorage

from fmnist.adapters.dvc.config import LOCATING, dvc_variables, own_config, refuse_cloud_versions
from fmnist.adapters.dvc.git import local_registry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.environment import exported
from fmnist.adapters.parquet.storage import Storage
from fmnist.domain.model.address import Address, without_credentials
from fmnist.domain.model.data.dataset import SplitFile
from fmnist.domain.model.errors import CorruptData, InvalidSetting, StoreUnavailable

_MOST_LISTED = 10  # files in a message
_LISTING_BYTES = 2**23  # of the list of a directory: about a hundred thousand files
_MD5 = re.compile("[0-9a-f]{32}")

_Key = tuple[str, ...]  # the names of a path inside the registry

# DVC keeps its clones in global tables, which are cleared after each use. So only one thread may use DVC at a time.
_dvc_clones = threading.Lock()


class Project:
    """The files of a registry at one commit. `what` names it in messages, and `storage` reads lists of files."""

    def __init__(self, address: Mapping[str, Any], what: str, storage: Storage) -> None:
        self._what = what
        self._storage = storage
        self._listings: dict[_Key, dict[_Key, DataIndexEntry]] = {}
        self._files = DVCFileSystem(**address)
        remotes = self._files.repo.config["remote"]
        for name, remote in remotes.items():
            # The options that are dropped could name files or commands on this machine.
            remotes[name] = {key: remote[key] for key in LOCATING if key in remote}

    def files(self, split: str, pattern: str) -> tuple[SplitFile, ...]:
        """Return the tracked files that match a pattern, in the order of their names, and none if none does.

        A file with exactly this name wins. It is not checked that the files exist. DVC may track each file, or their
        directory.

        Raises:
            CorruptData: the path is that of a directory or of a file in Git, or a directory's list of files is damaged.
            StoreUnavailable: the store of a directory's list of files does not answer.
        """
        wanted, tracked = _key(pattern), dict(self._tracked())
        found = {key: entry for key, entry in tracked.items() if not _is_directory(entry)}
        if wanted in found:
            return (self._file(split, "/".join(wanted), found[wanted]),)
        for key, entry in tracked.items():
            if not _is_directory(entry):
                continue
            if key == wanted:
                raise CorruptData(
                    f"{pattern} of {self._what} is a directory: name its files by a pattern such as {pattern}/*.parquet"
                )
            # A directory above an output of its own has no hash. Earlier versions could leave a pointer like that.
            if entry.hash_info is not None and len(key) < len(wanted) and _matches(key, wanted[: len(key)]):
                found |= self._listing(split, key, entry)
        matching = [wanted] if wanted in found else sorted(key for key in found if _matches(key, wanted))
        if not matching and self.read_git(pattern) is not None:
            raise self._untracked(pattern)
        return tuple(self._file(split, "/".join(key), found[key]) for key in matching)

    def names(self) -> str:
        """Return the names of tracked files and directories, for a message."""
        names = sorted("/".join(key) + "/" * _is_directory(entry) for key, entry in self._tracked())
        more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
        return f"{', '.join(names[:_MOST_LISTED])}{more}" if names else "no file that DVC tracks"

    def read_git(self, path: str) -> bytes | None:
        """Return the content of a file in Git itself, or None if there is no such file."""
        git = self._files.repo.fs
        try:
            with git.open(git.join(self._files.repo.root_dir, *_key(path)), "rb") as file:
                content: bytes = file.read()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        return content

    def _tracked(self) -> Iterator[tuple[_Key, DataIndexEntry]]:
        outputs = self._files.repo.index.outs
        keys = {output.index_key[1] for output in outputs if output.use_cache and output.is_in_repo}
        return ((key, self._index[key]) for key in keys)

    @property
    def _index(self) -> Any:
        return self._files.repo.index.data["repo"]

    def _listing(self, split: str, key: _Key, entry: DataIndexEntry) -> dict[_Key, DataIndexEntry]:
        """Return the files of a tracked directory. Its list is a JSON file in the store, beside the data."""
        if key not in self._listings:
            path = "/".join(key)
            file = self._file(split, path, entry)
            file = replace(file, md5=file.md5.removesuffix(".dir"), size=_LISTING_BYTES)
            try:
                listed = {str(item["relpath"]): str(item["md5"]) for item in json.loads(self._storage.read(file))}
            except (ValueError, RecursionError, TypeError, KeyError) as error:
                raise CorruptData(f"{path} of {self._what} has a list of files that cannot be read: {error}") from error
            if odd := [name for name, md5 in listed.items() if not _MD5.fullmatch(md5)]:
                raise CorruptData(f"{path} of {self._what} has a list of files without the MD5 of {odd[0]!r}")
            self._listings[key] = {
                (*key, *_key(name)): DataIndexEntry(key=(*key, *_key(name)), hash_info=HashInfo("md5", md5))
                for name, md5 in listed.items()
            }
        return self._listings[key]

    def _file(self, split: str, path: str, entry: DataIndexEntry) -> SplitFile:
        """Return the location and the expected hash of a file, without checking that the file exists."""
        hash_info = entry.hash_info
        if hash_info is None or hash_info.name != "md5" or hash_info.value is None:
            raise self._untracked(path)
        places = self._index.storage_map.get(entry.key)
        storage = None if places is None else places.remote
        if storage is None:
            raise NoRemoteError(f"{path} has no remote")
        if isinstance(storage, FileStorage):
            refuse_cloud_versions(f"{path} of {self._what}")
        store, place = storage.get(entry)
        uri = store.unstrip_protocol(place)
        if Address(uri).credentials():
            raise InvalidSetting(
                f"the DVC remote of {path} of {self._what} has a user or password in its URL {Address(uri)}, and "
                "everybody can read the registry: remove them from the URL, or set DVC_REMOTE_URL"
            )
        return SplitFile(split, uri, hash_info.value, self._endpoint(), entry.size)

    def _untracked(self, path: str) -> CorruptData:
        return CorruptData(
            f"{path} of {self._what} is not tracked by DVC as a single file: run `dvc add` on the file itself"
        )

    def close(self) -> None:
        self._files.close()

    def _endpoint(self) -> str | None:
        """Return the S3 endpoint of the remote in use, if its configuration has one."""
        config = self._files.repo.config
        remote = config["remote"].get(config["core"].get("remote"), {})
        endpoint: str | None = remote.get("endpointurl")
        return endpoint


@contextmanager
def opened(settings: RegistrySettings, storage: Storage, source: str, tag: str, commit: str) -> Iterator[Project]:
    """Open the project at a commit, and translate DVC's errors into the domain's errors."""
    what = f"{tag} of {source}"
    address: dict[str, Any] = {"rev": commit, "remote": settings.remote}
    if settings.remote_url:
        # DVC accepts a remote URL only with a remote name. The name need not exist in the repository.
        address["remote"] = settings.remote or "address-from-settings"
        address["remote_config"] = {"url": settings.remote_url, "version_aware": False, "worktree": False}
    with _dvc_clones, dvc_variables() as variables, exported(variables):
        try:
            with local_registry(settings.repo, what) as repo:
                own_config(Path(repo), commit, source)  # a check, before DVC reads it
                with closing(Project({**address, "repo": repo}, what, storage)) as project:
                    yield project
        except (RemoteConfigError, ImportError) as error:  # DVC imports a package for each kind of remote
            raise InvalidSetting(
                f"{what}: {_cause(error)}; set DVC_REMOTE to a remote of the registry, or DVC_REMOTE_URL to its URL"
            ) from error
        except (DvcException, OSError) as error:
            raise StoreUnavailable(f"{what} cannot be opened: {_cause(error)}") from error
        finally:
            clean_repos()


def _key(path: str) -> _Key:
    return tuple(posixpath.normpath(path).strip("/").split("/"))


def _matches(key: _Key, pattern: _Key) -> bool:
    return len(key) == len(pattern) and all(
        name == part or fnmatchcase(name, part) for name, part in zip(key, pattern, strict=True)
    )


def _is_directory(entry: DataIndexEntry) -> bool:
    return bool(entry.meta and entry.meta.isdir)


def _cause(error: BaseException) -> str:
    """Return the text of a DVC error and its causes. The outermost text is often just 'SCM error'."""
    words = [str(error)]
    while error := error.__cause__:  # type: ignore[assignment]  # None ends the loop
        words.append(str(error))
    return without_credentials(": ".join(word for word in words if word))
