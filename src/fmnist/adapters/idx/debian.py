"""Gets the official files from the Debian package of the dataset, installed or not.

A package that is not installed is downloaded and unpacked. This needs no root rights and no earlier `apt-get update`,
and does not change the package lists of the system.
"""

import logging
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fmnist.adapters.idx.files import RawFile
from fmnist.domain.model.errors import StoreUnavailable

logger = logging.getLogger(__name__)

PACKAGE = "dataset-fashion-mnist"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
_SHORT_TIMEOUT = ("-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=1")
_NO_SANDBOX = ("-o", "APT::Sandbox::User=root")
"""Otherwise apt, if run by root, switches to a user who cannot write to the temporary directory."""


def fetch(files: Sequence[RawFile], directory: Path, installed: Path = INSTALLED) -> None:
    """Copy the files of the package into `directory`, as `sources.Fetch` says."""
    if installed.is_dir():
        logger.info("Copying the files of the installed Debian package from %s", installed)
        _copy(files, installed, directory)
        return
    with tempfile.TemporaryDirectory(prefix="fmnist-debian-") as scratch:
        unpack(_download_package(Path(scratch)), files, directory)


def unpack(package: Path, files: Sequence[RawFile], directory: Path) -> None:
    """Extract only `files` from a package into `directory`.

    Raises:
        StoreUnavailable: the package cannot be unpacked, or one of its files is missing or too long.
    """
    missing = {f".{INSTALLED / file.name}": file for file in files}
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as dpkg:
            with tarfile.open(fileobj=dpkg.stdout, mode="r|") as content:
                for member in content:
                    if file := missing.pop(member.name, None):
                        _extract(content, member, directory / file.name, file.most_packed)
                    if not missing:
                        break
            dpkg.kill()  # the rest of the package is not needed
    except (OSError, tarfile.TarError) as error:
        raise StoreUnavailable(f"the Debian package {package.name} cannot be unpacked: {error}") from error
    if missing:
        raise StoreUnavailable(f"the Debian package lacks {', '.join(file.name for file in missing.values())}")


def _extract(content: tarfile.TarFile, member: tarfile.TarInfo, target: Path, most: int) -> None:
    data = content.extractfile(member) if member.isfile() else None
    if data is None or member.size > most:
        raise StoreUnavailable(f"the Debian package's {target.name}: expected a regular file of at most {most} bytes")
    with target.open("wb") as out:
        shutil.copyfileobj(data, out)


def _download_package(scratch: Path) -> Path:
    logger.info("Downloading the Debian package %s (31 MB)", PACKAGE)
    apt_get = ["apt-get", "--quiet", *_SHORT_TIMEOUT, *_NO_SANDBOX]
    try:
        _run([*apt_get, "download", PACKAGE], cwd=scratch)
    except StoreUnavailable:
        # The usual cause is empty or old package lists. Lists in `scratch` need no root rights.
        logger.info("Downloading the package lists first")
        private = ["-o", f"Dir::State={scratch}/state", "-o", f"Dir::Cache={scratch}/cache"]
        for folder in ("state/lists/partial", "cache/archives/partial"):
            Path(scratch, folder).mkdir(parents=True)
        _run([*apt_get, *private, "update"], cwd=scratch)
        _run([*apt_get, *private, "download", PACKAGE], cwd=scratch)
    packages = list(scratch.glob(f"{PACKAGE}_*.deb"))
    if not packages:
        raise StoreUnavailable(f"apt-get download {PACKAGE} wrote no package")
    return packages[0]


def _copy(files: Sequence[RawFile], source: Path, directory: Path) -> None:
    for file in files:
        try:
            shutil.copyfile(source / file.name, directory / file.name)
        except OSError as error:
            raise StoreUnavailable(f"{source / file.name} cannot be copied: {error}") from error


def _run(command: Sequence[str], cwd: Path) -> None:
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise StoreUnavailable(f"{command[0]} is not on this machine") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines() or ["(no message)"]
        raise StoreUnavailable(f"{command[0]} failed: {said[-1]}") from error
