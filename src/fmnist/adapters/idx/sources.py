"""Gets the four official files into one directory, from wherever they can be had. It never leaves a file in place that
was not checked, and says through `logging` what it tried.
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
"""Puts files under their own names into a directory, unchecked; raises `StoreUnavailable` when it cannot."""

FETCHES: Mapping[str, Fetch] = {"the dataset's own site": website.fetch, "Debian's package": debian.fetch}
"""Where files come from when nobody said where, in the order of trying."""


def raw_directory(
    downloads: Path,
    source: Path | None = None,
    files: Sequence[RawFile] = RAW_FILES,
    fetches: Mapping[str, Fetch] = FETCHES,
) -> Path:
    """Return a directory that holds every official file, each checked against its SHA-256.

    Args:
        downloads: where an earlier download lies, and where a new one goes.
        source: a directory of the user's; when given, nothing else is looked at and nothing is written.
        files: the files wanted.
        fetches: by name, what to try for files that are not in `downloads` yet.

    Raises:
        InvalidSetting: `source` lacks a file.
        CorruptData: a file in `source` holds something else.
        StoreUnavailable: no source could give the files, or `downloads` may not be written.
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
            "leave --source and FMNIST_RAW_DIR away to have them downloaded"
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
        logger.warning("Refused an earlier download, getting it anew: %s", error)
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
        f"no source could give {', '.join(file.name for file in files)} ({'; '.join(failures)}). "
        "Put the four official files into a directory and name it by --source or FMNIST_RAW_DIR"
    )


def _fetch_checked(fetch: Fetch, files: Sequence[RawFile], downloads: Path) -> None:
    """Fetch beside the final place, on the same disk, so that a checked file moves there in one step or not at all."""
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
