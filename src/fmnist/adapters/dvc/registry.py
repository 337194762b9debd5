"""Reads data versions from a Git repository with DVC.

DVC gives only the location and the expected hash of a data file. fmnist reads the file itself, because DVC does not
compare hashes when it reads (docs/adr/0003).
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dvc.api import DVCFileSystem
from dvc.config import NoRemoteError, RemoteConfigError
from dvc.exceptions import DvcException
from dvc.repo.open_repo import clean_repos
from dvc_data.index import FileStorage

from fmnist.adapters.dvc.config import LOCATING, dvc_variables, own_config, refuse_cloud_versions
from fmnist.adapters.dvc.git import local_registry, tagged_commits
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.environment import exported
from fmnist.adapters.git.command import source_name
from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.parquet.storage import Storage
from fmnist.domain.model.address import Address, without_credentials
from fmnist.domain.model.data.data_version import choose, newest_first
from fmnist.domain.model.data.dataset import REQUIRED_SPLITS, DatasetVersion, LabeledImages, SplitFile
from fmnist.domain.model.errors import CorruptData, InvalidSetting, SplitNotFound, StoreUnavailable
from fmnist.ports.data_registry import DataRegistry

# DVC keeps its clones in global tables, which are cleared after each use. So only one thread may use DVC at a time.
_dvc_clones = threading.Lock()


class DvcDataRegistry(DataRegistry):
    """A registry of data versions. The constructor opens nothing."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._source = source_name(settings.repo)
        self._storage = Storage(settings.s3)
        self._read_split = SplitReader(self._storage)

    def versions(self) -> list[str]:
        return newest_first(tagged_commits(self._settings.repo))

    def resolve(self, version: str | None = None) -> DatasetVersion:
        commits = tagged_commits(self._settings.repo)
        tag = choose(version, newest_first(commits))
        paths = self._settings.paths.splits()
        with _opened(self._settings, self._source, tag, commits[tag]) as project:
            splits = {}
            for name, path in paths.items():
                if project.has(path):
                    splits[name] = project.file(name, path)
                elif name in REQUIRED_SPLITS:
                    raise SplitNotFound(
                        f"{tag} of {self._source} has no split {name!r} at {path}: "
                        f"correct DVC_{name.upper()}_DATA_PATH or choose another version"
                    )
            metadata = self._metadata(project, tag)
        dataset = DatasetVersion(
            version=tag,
            commit=commits[tag],
            splits=splits,
            metadata=metadata,
            source=self._source,
            paths={**{name: paths[name] for name in splits}, "metadata": self._settings.paths.metadata},
        )
        _check_metadata(dataset)
        return dataset

    def read(self, dataset: DatasetVersion, split: str) -> LabeledImages:
        return self._read_split(dataset.file(split))

    def _metadata(self, project: "_Project", tag: str) -> Mapping[str, Any]:
        path = self._settings.paths.metadata
        where = f"{path} of {tag} in {self._source}"
        if not project.has(path):
            raise CorruptData(f"{where} does not exist: correct DVC_METRICS_PATH or choose another version")
        try:
            # In data versions 1.x, DVC may track the metadata file. Its hash is then checked like that of a split.
            tracked = project.is_tracked_by_dvc(path)
            content = self._storage.read(project.file("metadata", path)) if tracked else project.read_git(path)
            metadata = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise CorruptData(f"{where} is not valid JSON: {error}") from error
        if not isinstance(metadata, dict):
            raise CorruptData(f"{where} is not a JSON object")
        return metadata


class _Project:
    """A DVC project at one commit."""

    def __init__(self, address: Mapping[str, Any], what: str) -> None:
        self._what = what
        self._files = DVCFileSystem(**address)
        remotes = self._files.repo.config["remote"]
        for name, remote in remotes.items():
            # The options that are dropped could name files or commands on this machine.
            remotes[name] = {key: remote[key] for key in LOCATING if key in remote}

    def has(self, path: str) -> bool:
        try:
            self._files.info(path)
        except FileNotFoundError:
            return False
        return True

    def is_tracked_by_dvc(self, path: str) -> bool:
        return bool(self._files.isdvc(path))

    def file(self, name: str, path: str) -> SplitFile:
        """Return the location and the expected hash of a file, without checking that the file exists."""
        info = self._files.info(path)
        if info["type"] != "file" or "md5" not in info:
            raise CorruptData(
                f"{path} of {self._what} is not tracked by DVC as a single file: run `dvc add` on the file itself"
            )
        index, entry = self._files.repo.get_data_index_entry(path)
        places = index.storage_map.get(entry.key)
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
        return SplitFile(name, uri, info["md5"], self._endpoint(), info.get("size"))

    def read_git(self, path: str) -> bytes:
        content: bytes = self._files.cat_file(path)
        return content

    def close(self) -> None:
        self._files.close()

    def _endpoint(self) -> str | None:
        """Return the S3 endpoint of the remote in use, if its configuration has one."""
        config = self._files.repo.config
        remote = config["remote"].get(config["core"].get("remote"), {})
        endpoint: str | None = remote.get("endpointurl")
        return endpoint


@contextmanager
def _opened(settings: RegistrySettings, source: str, tag: str, commit: str) -> Iterator[_Project]:
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
                with closing(_Project({**address, "repo": repo}, what)) as project:
                    yield project
        except (RemoteConfigError, ImportError) as error:  # DVC imports a package for each kind of remote
            raise InvalidSetting(
                f"{what}: {_cause(error)}; set DVC_REMOTE to a remote of the registry, or DVC_REMOTE_URL to its URL"
            ) from error
        except (DvcException, OSError) as error:
            raise StoreUnavailable(f"{what} cannot be opened: {_cause(error)}") from error
        finally:
            clean_repos()


def _check_metadata(dataset: DatasetVersion) -> None:
    try:
        dataset.normalization  # noqa: B018 (raises if the metadata is damaged)
        dataset.class_names  # noqa: B018
    except CorruptData as error:
        raise CorruptData(f"{dataset.paths['metadata']} of {dataset.version} in {dataset.source}: {error}") from error


def _cause(error: BaseException) -> str:
    """Return the text of a DVC error and its causes. The outermost text is often just 'SCM error'."""
    words = [str(error)]
    while error := error.__cause__:  # type: ignore[assignment]  # None ends the loop
        words.append(str(error))
    return without_credentials(": ".join(word for word in words if word))
