"""Gets the four official files into one directory, from the first source that has them. It keeps only files that it has
checked, and logs every source that it tries.
"""

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fmnist.adapters.idx import debian, website
from fmnist.adapters.idx.files import RAW_FILES, RawFile, check_file
from fmnist.domain.model.errors import CorruptData, InvalidSetting, StoreUnavailable

logger = logging.getLogger(__name__)

Fetch = Callable[[Sequence[RawFile], Path], None]
"""Writes files under their own names into a directory, unchecked; raises `StoreUnavailable` if that fails."""

FETCHES: Mapping[str, Fetch] = {"the dataset's own site": website.fetch, "Debian's package": debian.fetch}
"""The default sources, in the order in which they are tried."""


def raw_directory(
    downloads: Path,
    source: Path | None = None,
    files: Sequence[RawFile] = RAW_FILES,
    fetches: Mapping[str, Fetch] = FETCHES,
) -> Path:
    """Return a directory that holds every official file, each checked against its SHA-256.

    Args:
        downloads: the directory of earlier and new downloads.
        source: the user's own directory. If given, only it is used, and nothing is written.
        files: the wanted files.
        fetches: sources by name, for files that are not in `downloads` yet.

    Raises:
        InvalidSetting: a file is missing in `source`.
        CorruptData: a file in `source` has the wrong content.
        StoreUnavailable: no source has the files, or `downloads` is not writable.
    """
    if source is not None:
        _check_source(source, files)
        logger.info("Raw files: those in %s", source)
        return source
    missing = [file for file in files if not _have(downloads, file)]
    if missing:
        _download(missing, downloads, fetches)
    else:
        logger.info("Raw files: an earlier download in %s", downloads)
    return downloads


def _check_source(source: Path, files: Sequence[RawFile]) -> None:
    absent = [file.name for file in files if not (source / file.name).is_file()]
    if absent:
        raise InvalidSetting(
            f"the source directory {source} lacks {', '.join(absent)}: it must hold the four official .gz files; "
            "leave out --source and FMNIST_RAW_DIR to download them"
        )
    for file in files:
        check_file(source / file.name, file)


def _have(downloads: Path, file: RawFile) -> bool:
    path = downloads / file.name
    if not path.exists():
        return False
    try:
        check_file(path, file)
    except CorruptData as error:
        logger.warning("An earlier download is damaged, downloading it again: %s", error)
        return False
    return True


def _download(files: Sequence[RawFile], downloads: Path, fetches: Mapping[str, Fetch]) -> None:
    failures = []
    for name, fetch in fetches.items():
        try:
            _fetch_checked(fetch, files, downloads)
        except (StoreUnavailable, CorruptData) as error:
            logger.info("Raw files: not from %s: %s", name, error)
            failures.append(f"{name}: {error}")
        else:
            logger.info("Raw files: from %s, now in %s", name, downloads)
            return
    raise StoreUnavailable(
        f"no source has {', '.join(file.name for file in files)} ({'; '.join(failures)}). "
        "Put the four official files into a directory, and set --source or FMNIST_RAW_DIR to it"
    )


def _fetch_checked(fetch: Fetch, files: Sequence[RawFile], downloads: Path) -> None:
    """Fetch into a folder on the same disk, so that a checked file moves to its final place in one atomic step."""
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        incoming = tempfile.TemporaryDirectory(dir=downloads, prefix=".incoming-")
    except OSError as error:
        raise StoreUnavailable(f"cannot write to {downloads}: {error}") from error
    with incoming as scratch:
        fetch(files, Path(scratch))
        for file in files:
            check_file(Path(scratch, file.name), file)
        for file in files:
            Path(scratch, file.name).replace(downloads / file.name)
