"""The official files come from the first source that has them. No unchecked file is ever kept."""

import gzip
import hashlib
import logging
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from fmnist.adapters.idx import debian, website
from fmnist.adapters.idx.files import RawFile
from fmnist.adapters.idx.sources import FETCHES, Fetch, raw_directory
from fmnist.domain.model.errors import CorruptData, InvalidSetting, StoreUnavailable

_CONTENT = {"one.gz": b"first", "two.gz": b"second"}
_FILES = tuple(RawFile(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in _CONTENT.items())


def _write(directory: Path, content: Mapping[str, bytes]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        (directory / name).write_bytes(gzip.compress(data))


def _good(files: Sequence[RawFile], directory: Path) -> None:
    _write(directory, {file.name: _CONTENT[file.name] for file in files})


def _wrong(files: Sequence[RawFile], directory: Path) -> None:
    _write(directory, {file.name: b"another" for file in files})


def _away(files: Sequence[RawFile], directory: Path) -> None:
    _good(files[:1], directory)  # files from before the failure must not stay either
    raise StoreUnavailable("does not answer")


def _untouched(files: Sequence[RawFile], directory: Path) -> None:
    pytest.fail("no other source may be tried")


def _raw(downloads: Path, source: Path | None = None, **fetches: Fetch) -> Path:
    return raw_directory(downloads, source, _FILES, fetches)


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_files_are_downloaded_once(tmp_path: Path) -> None:
    assert _raw(tmp_path / "raw", good=_good) == tmp_path / "raw"
    assert _raw(tmp_path / "raw", untouched=_untouched) == tmp_path / "raw"
    assert _names(tmp_path / "raw") == ["one.gz", "two.gz"]


@pytest.mark.parametrize("failing", [_away, _wrong])
def test_the_next_source_is_tried_and_both_are_logged(
    tmp_path: Path, failing: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _raw(tmp_path, first=failing, second=_good)
    refused, got = caplog.messages
    assert refused.startswith("Cannot get the raw files from first: ")
    assert got.startswith("Got the raw files from second, ")


@pytest.mark.parametrize("failing", [_away, _wrong])
def test_when_no_source_has_them_all_are_named_and_nothing_is_left(tmp_path: Path, failing: Fetch) -> None:
    with pytest.raises(StoreUnavailable, match=r"one.gz, two.gz .*site: .*package: .*--source or FMNIST_RAW_DIR"):
        raw_directory(tmp_path, None, _FILES, {"site": failing, "package": failing})
    assert _names(tmp_path) == []


def test_a_damaged_earlier_download_is_refused_by_name_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path, {**_CONTENT, "two.gz": b"damaged"})
    _raw(tmp_path, good=_good)
    assert gzip.decompress((tmp_path / "two.gz").read_bytes()) == b"second"
    assert "two.gz is not the official two.gz" in caplog.text
    assert "one.gz" not in caplog.text


def test_a_good_file_stays_if_another_cannot_be_downloaded(tmp_path: Path) -> None:
    _write(tmp_path, {"one.gz": b"first"})
    with pytest.raises(StoreUnavailable, match=r"no source has two.gz \("):
        _raw(tmp_path, wrong=_wrong)
    assert _names(tmp_path) == ["one.gz"]


def test_a_named_source_is_the_only_one_used(tmp_path: Path) -> None:
    _write(tmp_path / "mine", _CONTENT)
    assert _raw(tmp_path / "raw", tmp_path / "mine", untouched=_untouched) == tmp_path / "mine"
    assert not (tmp_path / "raw").exists()


def test_a_named_source_that_lacks_a_file_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "mine", {"one.gz": b"first"})
    with pytest.raises(InvalidSetting, match=r"mine lacks two.gz"):
        _raw(tmp_path / "raw", tmp_path / "mine", untouched=_untouched)


def test_a_named_source_with_a_wrong_file_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "mine", {**_CONTENT, "one.gz": b"wrong"})
    with pytest.raises(CorruptData, match=r"one.gz is not the official one.gz"):
        _raw(tmp_path / "raw", tmp_path / "mine", untouched=_untouched)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match=r"cannot write to .*file/raw"):
        _raw(tmp_path / "file" / "raw", good=_good)


def test_the_datasets_own_site_comes_before_debians_package() -> None:
    assert list(FETCHES.values()) == [website.fetch, debian.fetch]


def test_debians_installed_files_are_copied(tmp_path: Path) -> None:
    _write(tmp_path / "installed", _CONTENT)
    debian.fetch(_FILES, tmp_path, installed=tmp_path / "installed")
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "installed/one.gz").read_bytes()


def test_file_missing_from_debians_installed_ones_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "installed", {"one.gz": b"first"})
    with pytest.raises(StoreUnavailable, match=r"two.gz cannot be copied"):
        debian.fetch(_FILES, tmp_path, installed=tmp_path / "installed")


def test_a_machine_without_apt_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreUnavailable, match="apt-get is not on this machine"):
        debian.fetch(_FILES, tmp_path, installed=tmp_path / "absent")


def _package(directory: Path, content: Mapping[str, bytes]) -> Path:
    root = directory / "root"
    _write(root / debian.INSTALLED.relative_to("/"), content)
    (root / "DEBIAN").mkdir()
    control = "Package: toy\nVersion: 1\nArchitecture: all\nMaintainer: a <a@localhost>\nDescription: toy\n"
    (root / "DEBIAN/control").write_text(control)
    subprocess.run(["dpkg-deb", "--build", root, directory / "toy.deb"], check=True, capture_output=True)
    return directory / "toy.deb"


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
def test_only_the_needed_files_of_debians_package_are_extracted(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    debian.unpack(_package(tmp_path, {**_CONTENT, "more.gz": b"unasked"}), _FILES, tmp_path / "out")
    assert {path.name: gzip.decompress(path.read_bytes()) for path in (tmp_path / "out").iterdir()} == _CONTENT


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
def test_debians_package_with_a_file_too_long_or_none_is_refused(tmp_path: Path) -> None:
    long = _package(tmp_path, {**_CONTENT, "two.gz": secrets.token_bytes(5000)})
    with pytest.raises(StoreUnavailable, match=r"two\.gz: expected a regular file of at most 1030 bytes"):
        debian.unpack(long, _FILES, tmp_path)
    with pytest.raises(StoreUnavailable, match=r"lacks three\.gz"):
        debian.unpack(long, [RawFile("three.gz", 1, "")], tmp_path)
    (tmp_path / "none.deb").write_bytes(b"no package")
    with pytest.raises(StoreUnavailable, match=r"none\.deb cannot be unpacked"):
        debian.unpack(tmp_path / "none.deb", _FILES, tmp_path)
