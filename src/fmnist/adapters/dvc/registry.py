"""Reads data versions from a Git repository with DVC.

DVC gives only the location and the expected hash of a data file. fmnist reads the file itself, because DVC does not
compare hashes when it reads (docs/adr/0003).
"""

import json
from collections.abc import Mapping
from typing import Any

from fmnist.adapters.dvc.git import tagged_commits
from fmnist.adapters.dvc.project import Project, opened
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.git.command import source_name
from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.parquet.storage import Storage
from fmnist.domain.model.data.data_version import choose, newest_first
from fmnist.domain.model.data.dataset import REQUIRED_SPLITS, SPLITS, DatasetVersion, LabeledImages, SplitFile
from fmnist.domain.model.errors import CorruptData, InvalidSetting, SplitNotFound
from fmnist.ports.data_registry import DataRegistry


class DvcDataRegistry(DataRegistry):
    """A registry of data versions. The constructor opens nothing."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._source = source_name(settings.repo)
        self._storage = Storage(settings.s3)
        self._read_files = SplitReader(self._storage)

    def versions(self) -> list[str]:
        return newest_first(tagged_commits(self._settings.repo))

    def resolve(self, version: str | None = None) -> DatasetVersion:
        commits = tagged_commits(self._settings.repo)
        tag = choose(version, newest_first(commits))
        splits, paths = dict[str, tuple[SplitFile, ...]](), {"metadata": self._settings.paths.metadata}
        with opened(self._settings, self._storage, self._source, tag, commits[tag]) as project:
            for name in SPLITS:
                candidates = self._settings.paths.candidates(name)
                for path in candidates:
                    if name not in splits and (files := project.files(name, path)):
                        splits[name], paths[name] = files, path
                if name in REQUIRED_SPLITS and name not in splits:
                    raise SplitNotFound(
                        f"{tag} of {self._source} has no split {name!r} at {' or '.join(candidates)}: it has "
                        f"{project.names()}; correct DVC_{name.upper()}_DATA_PATH or choose another version"
                    )
            metadata = self._metadata(project, tag)
        dataset = DatasetVersion(
            version=tag,
            commit=commits[tag],
            splits=splits,
            metadata=metadata,
            source=self._source,
            paths=paths,
        )
        _check_metadata(dataset)
        return dataset

    def read(self, dataset: DatasetVersion, split: str) -> LabeledImages:
        return self._read_files(dataset.files(split))

    def _metadata(self, project: Project, tag: str) -> Mapping[str, Any]:
        path = self._settings.paths.metadata
        where = f"{path} of {tag} in {self._source}"
        content = project.read_git(path)
        if content is None:
            # In data versions 1.x, DVC may track the metadata file. Its hash is then checked like that of a split.
            files = project.files("metadata", path)
            if not files:
                raise CorruptData(f"{where} does not exist: correct DVC_METRICS_PATH or choose another version")
            if len(files) > 1:
                raise InvalidSetting(
                    f"DVC_METRICS_PATH {path} matches {len(files)} files of {tag} in {self._source}: name one of them"
                )
            content = self._storage.read(files[0])
        try:
            metadata = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise CorruptData(f"{where} is not valid JSON: {error}") from error
        if not isinstance(metadata, dict):
            raise CorruptData(f"{where} is not a JSON object")
        return metadata


def _check_metadata(dataset: DatasetVersion) -> None:
    try:
        dataset.normalization  # noqa: B018 (raises if the metadata is damaged)
        dataset.class_names  # noqa: B018
    except CorruptData as error:
        raise CorruptData(f"{dataset.paths['metadata']} of {dataset.version} in {dataset.source}: {error}") from error
