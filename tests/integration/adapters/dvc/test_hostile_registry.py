"""A registry is not trusted: building into it and reading it runs no code of it, and writes to no other place."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from fmnist.adapters.dvc.builder import RegistryBuilder
from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.domain.model.errors import InvalidSetting
from tests.integration.support import change_files, git

_TAG = "fashion-mnist-v1.0.0"


def test_parameters_of_a_registry_reach_no_shell(copy: RegistrySettings, official_files: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    _change(copy, tmp_path, {"params.yaml": f'val_size: "10; touch {mark}; #"\nseed: 0\n'})
    before = git(Path(str(copy.repo)), "for-each-ref")
    with pytest.raises(InvalidSetting, match=r"registry\.git: params\.yaml: val_size must be a whole number"):
        RegistryBuilder(copy, tmp_path / "unused", official_files).build("1.1.0")
    assert not mark.exists()
    assert git(Path(str(copy.repo)), "for-each-ref") == before


def test_no_pipeline_hook_filter_or_link_of_a_registry_affects_a_build(
    copy: RegistrySettings, official_files: Path, tmp_path: Path
) -> None:
    mark, outside = tmp_path / "ran", tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    work = _change(
        copy,
        tmp_path,
        {
            # A stage that the pipeline's own stage depends on, so that DVC would run it first.
            "other/dvc.yaml": f"stages:\n  first:\n    wdir: ..\n    cmd: touch {mark}\n    outs: [params.yaml]\n",
            ".dvc/config": f"[core]\n    remote = storage\n[cache]\n    dir = {outside}/cache\n"
            f"['remote \"storage\"']\n    url = {copy.remote_url}\n",
            ".gitattributes": "* filter=evil\n",
            ".gitmodules": f'[submodule "m"]\n\tpath = m\n\turl = {copy.repo}\n',
            "README.md": "What the team wrote.\n",
        },
        push=False,
    )
    links = {"dvc.yaml": "precious", "dvc.lock": "lock", ".dvc/config.local": "config", "data": "", ".dvc/tmp": "tmp"}
    for link, target in links.items():
        git(work, "rm", "-r", "--quiet", "--cached", "--ignore-unmatch", link)
        if (work / link).is_dir():
            shutil.rmtree(work / link)
        (work / link).unlink(missing_ok=True)
        (work / link).symlink_to(outside / target)
        git(work, "add", "--force", link)
    git(work, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--amend", "--no-edit")
    git(work, "push", "--quiet")

    own_remote = dataclasses.replace(copy, remote_url=None)
    assert RegistryBuilder(own_remote, tmp_path / "unused", official_files).build("1.1.0").new
    assert not mark.exists()
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"precious": "precious"}
    registry = DvcDataRegistry(own_remote)
    assert registry.resolve("1.1.0").digest == registry.resolve("1.0.0").digest
    assert "What the team wrote." in git(Path(str(copy.repo)), "show", "fashion-mnist-v1.1.0:README.md")


def test_the_next_version_keeps_other_files_of_the_registry(
    copy: RegistrySettings, official_files: Path, tmp_path: Path
) -> None:
    ignored = "data/fashion-mnist/raw/.gitignore"
    old = git(Path(str(copy.repo)), "show", f"{_TAG}:{ignored}")
    before = set(git(Path(str(copy.repo)), "ls-tree", "-r", "--name-only", "main").splitlines())
    files = {
        "README.md": "Ours.\n",
        ignored: f"{old}/notes\n",
        "params.yaml": "seed: 7\nval_size: 100 # few\n",
        # Like versions that were made without a pipeline.
        "data/fashion-mnist/metadata.json.dvc": f"outs:\n- md5: {'0' * 32}\n  size: 1\n  path: metadata.json\n",
    }
    _change(copy, tmp_path, files)
    assert RegistryBuilder(copy, tmp_path / "unused", official_files).build("1.1.0").new
    tag = "fashion-mnist-v1.1.0"
    assert set(git(Path(str(copy.repo)), "ls-tree", "-r", "--name-only", tag).splitlines()) == {*before, "README.md"}
    changed = git(Path(str(copy.repo)), "diff", "--name-only", f"{tag}~", tag).splitlines()
    assert changed == ["data/fashion-mnist/metadata.json", "data/fashion-mnist/metadata.json.dvc", "dvc.lock"]
    assert git(Path(str(copy.repo)), "show", f"{tag}:params.yaml") == "seed: 7\nval_size: 100 # few\n"
    assert DvcDataRegistry(copy).resolve("1.1.0").metadata["splits"]["val"]["num_samples"] == 100


@pytest.mark.parametrize("url", ["../store", "webdav://127.0.0.1/x"])
def test_a_build_is_refused_if_the_remote_is_not_a_shared_place(
    copy: RegistrySettings, official_files: Path, tmp_path: Path, url: str
) -> None:
    _change(copy, tmp_path, {".dvc/config": f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {url}\n"})
    with pytest.raises(InvalidSetting, match=r"has 'storage' at '.*set DVC_REMOTE.*DVC_REMOTE_URL"):
        RegistryBuilder(dataclasses.replace(copy, remote_url=None), tmp_path / "unused", official_files).build("1.1.0")


def test_a_build_is_refused_if_the_remote_stores_files_by_name(
    copy: RegistrySettings, official_files: Path, tmp_path: Path
) -> None:
    store = "['remote \"storage\"']\n    url = s3://bucket\n    version_aware = true\n"
    _change(copy, tmp_path, {".dvc/config": f"[core]\n    remote = storage\n{store}"})
    with pytest.raises(InvalidSetting, match=f"^{copy.repo} has its data in a remote with cloud versions "):
        RegistryBuilder(dataclasses.replace(copy, remote_url=None), tmp_path / "unused", official_files).build("1.1.0")


def test_reading_a_registry_does_not_write_to_places_that_it_names(copy: RegistrySettings, tmp_path: Path) -> None:
    config = f"[core]\n    remote = storage\n    site_cache_dir = {tmp_path}/made\n"
    work = _change(copy, tmp_path, {".dvc/config": f"{config}['remote \"storage\"']\n    url = {copy.remote_url}\n"})
    git(work, "tag", "fashion-mnist-v1.1.0")
    git(work, "push", "--quiet", "--tags")
    with pytest.raises(InvalidSetting, match="sets site_cache_dir, which a registry may not set"):
        DvcDataRegistry(copy).resolve("1.1.0")
    assert not (tmp_path / "made").exists()


def test_a_version_is_read_without_using_other_options_of_its_remotes(copy: RegistrySettings, tmp_path: Path) -> None:
    store = f"['remote \"storage\"']\n    url = {copy.remote_url}\n"
    others = "".join(
        f"['remote \"{name}\"']\n    url = {url}\n"
        for name, url in {
            "unused": "ssh://x\n    keyfile = ~/.ssh/id",
            "address-from-settings": "webdavs://x\n    bearer_token_command = touch x",
            "versioned": "s3://bucket\n    configpath = /nowhere\n    version_aware = true",
        }.items()
    )
    work = _change(copy, tmp_path, {".dvc/config": f"[core]\n    remote = storage\n{store}{others}"})
    git(work, "tag", "fashion-mnist-v1.1.0")
    git(work, "push", "--quiet", "--tags")
    digest = DvcDataRegistry(copy).resolve("1.0.0").digest
    for settings in (
        copy,
        dataclasses.replace(copy, remote="versioned"),
        dataclasses.replace(copy, remote_url=None),
    ):
        assert DvcDataRegistry(settings).resolve("1.1.0").digest == digest
    versioned = dataclasses.replace(copy, remote="versioned", remote_url=None)
    with pytest.raises(InvalidSetting, match=r"v1\.1\.0 of .* in a remote with cloud versions .*: set DVC_REMOTE_URL"):
        DvcDataRegistry(versioned).resolve("1.1.0")


def _change(settings: RegistrySettings, tmp_path: Path, files: dict[str, str], *, push: bool = True) -> Path:
    work = tmp_path / "work"
    change_files(str(settings.repo), work, files)
    if push:
        git(work, "push", "--quiet")
    return work
