"""Gets the four official files into one directory, from the first source that has them.

It keeps only files with the right SHA-256, and logs each source that it tries.
"""

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fmnist.adapters.idx import debian, website
from fmnist.adapters.idx.copies import KNOWN, find_copy, restore
from fmnist.adapters.idx.files import RAW_FILES, RawFile, are_sorted, check_file
from fmnist.domain.model.errors import CorruptData, InvalidSetting, StoreUnavailable

logger = logging.getLogger(__name__)

Fetch = Callable[[Sequence[RawFile], Path], None]
"""Writes the files into a directory without checking their content. Raises `StoreUnavailable` if it cannot get them."""

FETCHES: Mapping[str, Fetch] = {"the dataset's website": website.fetch, "the Debian package": debian.fetch}
"""The default sources, in the order in which they are tried."""


def raw_directory(
    downloads: Path,
    source: Path | None = None,
    files: Sequence[RawFile] = RAW_FILES,
    fetches: Mapping[str, Fetch] = FETCHES,
) -> Path:
    """Return a directory that holds every official file, each checked against its SHA-256.

    Args:
        downloads: directory for downloads. Good files of an earlier download are reused.
        source: a directory with all the files, or with a copy as in `copies`. If given, nothing is downloaded. Only a
            copy is written, to a folder of `downloads`.
        files: the official files to get.
        fetches: sources by name, in the order in which they are tried.

    Raises:
        InvalidSetting: a file is missing in `source`, or it has a copy of other data.
        CorruptData: a file in `source` has the wrong content.
        StoreUnavailable: no source has the files, or `downloads` is not writable.
    """
    if source is not None:
        if _absent(source, files) and (copy := find_copy(source)) is not None:
            logger.info("Restoring the raw files from the copy in %s", source)
            source = downloads / "restored"
            try:
                restore(copy, source)
            except OSError as error:
                raise StoreUnavailable(f"cannot write to {source}: {error}") from error
        _check_source(source, files)
        logger.info("Using the raw files in %s", source)
        return source
    missing = [file for file in files if not _have(downloads, file)]
    if missing:
        _download(missing, downloads, fetches)
    else:
        logger.info("Using the raw files of an earlier download in %s", downloads)
    return downloads


def _check_source(source: Path, files: Sequence[RawFile]) -> None:
    if absent := _absent(source, files):
        raise InvalidSetting(
            f"the source directory {source} lacks {', '.join(absent)}: it must hold the four official .gz files, or "
            f"{' or '.join(' and '.join(patterns.values()) for patterns in KNOWN)}; "
            "to download them, leave out --source and unset FMNIST_RAW_DIR"
        )
    try:
        for file in files:
            check_file(source / file.name, file)
    except CorruptData:
        if not are_sorted(source, files):
            raise


def _absent(source: Path, files: Sequence[RawFile]) -> list[str]:
    return [file.name for file in files if not (source / file.name).is_file()]


def _have(downloads: Path, file: RawFile) -> bool:
    path = downloads / file.name
    if not path.exists():
        return False
    try:
        check_file(path, file)
    except CorruptData as error:
        logger.warning("A file of an earlier download is damaged, and is downloaded again: %s", error)
        return False
    return True


def _download(files: Sequence[RawFile], downloads: Path, fetches: Mapping[str, Fetch]) -> None:
    failures = []
    for name, fetch in fetches.items():
        try:
            _fetch_checked(fetch, files, downloads)
        except (StoreUnavailable, CorruptData) as error:
            logger.info("Cannot get the raw files from %s: %s", name, error)
            failures.append(f"{name}: {error}")
        else:
            logger.info("Got the raw files from %s, stored in %s", name, downloads)
            return
    raise StoreUnavailable(
        f"no source has {', '.join(file.name for file in files)} ({'; '.join(failures)}). "
        "Put the four official files into a directory, and name it with --source or FMNIST_RAW_DIR"
    )


def _fetch_checked(fetch: Fetch, files: Sequence[RawFile], downloads: Path) -> None:
    """Fetch into a temporary folder on the disk of `downloads`, so that checked files move atomically."""
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
