"""The dataset's site, replaced by a local server: its files are downloaded, and errors are reported at once."""

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fmnist.adapters.idx import website
from fmnist.adapters.idx.files import RawFile
from fmnist.domain.model.errors import StoreUnavailable

_CONTENT = bytes(range(256)) * 20_000
_FILES = (RawFile("one.gz", len(_CONTENT), hashlib.sha256(_CONTENT).hexdigest()),)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the parent's name)
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "site").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "site")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_arrives_completely_and_its_progress_is_logged(
    site: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "site/one.gz").write_bytes(_CONTENT)
    website.fetch(_FILES, tmp_path, site)
    assert (tmp_path / "one.gz").read_bytes() == _CONTENT
    assert "one.gz (5.1 MB)" in caplog.messages[0]
    assert [message.split(": ")[-1] for message in caplog.messages[1:]] == ["25 %", "50 %", "75 %"]


def test_a_file_that_the_site_lacks_is_named(site: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"one\.gz cannot be downloaded: .*404"):
        website.fetch(_FILES, tmp_path, site)


def test_a_site_that_is_down_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"one\.gz cannot be downloaded: .*refused"):
        website.fetch(_FILES, tmp_path, "http://127.0.0.1:9/")


def test_an_endless_file_is_refused(tmp_path: Path) -> None:
    """The site has no TLS, so an attacker could send an endless file with a small content-length."""

    class Endless(_Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "many")
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(bytes(1 << 20))

    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(
                StoreUnavailable, match=r"one\.gz is larger than the official file: expected at most 5126144 bytes"
            ):
                website.fetch(_FILES, tmp_path, f"http://127.0.0.1:{server.server_port}/")
        finally:
            server.shutdown()
            thread.join()
    assert (tmp_path / "one.gz").stat().st_size <= _FILES[0].most_packed + 1
