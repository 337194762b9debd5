"""Downloads the official files from the website that the repository zalandoresearch/fashion-mnist links to."""

import http.client
import logging
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from fmnist.adapters.idx.files import RawFile
from fmnist.domain.model.errors import StoreUnavailable

logger = logging.getLogger(__name__)

# The site has no TLS, so the caller must check the SHA-256 of each file.
SITE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_TIMEOUT_SECONDS = 5  # short, because there is another source
_CHUNK = 1 << 20


def fetch(files: Sequence[RawFile], directory: Path, site: str = SITE) -> None:
    """Download the files into `directory`, as `sources.Fetch` says."""
    for file in files:
        try:
            _download(site + file.name, directory / file.name, file.most_packed)
        except (OSError, http.client.HTTPException) as error:
            raise StoreUnavailable(f"{site}{file.name} cannot be downloaded: {error}") from error


def _download(url: str, target: Path, most: int) -> None:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response, target.open("wb") as out:  # noqa: S310 (never a user's URL)
        announced = response.headers.get("Content-Length", "")
        size = int(announced) if announced.isdecimal() else 0
        logger.info("Downloading %s (%.1f MB)", url, size / 1e6)
        done, quarter = 0, 1
        while chunk := response.read(min(_CHUNK, most + 1 - done)):
            done += out.write(chunk)
            if done > most:
                raise StoreUnavailable(f"{url} is larger than the official file: expected at most {most} bytes")
            while size and quarter < 4 and done >= quarter * size / 4:
                logger.info("Downloading %s: %d %%", target.name, 25 * quarter)
                quarter += 1
