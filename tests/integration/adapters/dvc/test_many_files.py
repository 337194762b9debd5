"""Splits of several files in a DVC registry: patterns, parts in place of the default file, and tracked directories."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from dvc.repo import Repo

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistryPaths, RegistrySettings
from fmnist.adapters.parquet.files import write_split
from fmnist.domain.model.address import Address
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.errors import CorruptData, InvalidSetting, SplitNotFound
from fmnist.testing.data import toy_splits
from tests.integration.support import git, make_dvc_registry

SPLITS = toy_splits(train=44)
PARTS = SPLITS["train"].cut(11)
FOLDER = "data/fashion-mnist/processed/train"
TAG = "fashion-mnist-v2.0.0"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> RegistrySettings:
    return make_dvc_registry(tmp_path_factory.mktemp("template"), {"1.0.0": SPLITS})


@pytest.fixture
def settings(template: RegistrySettings, tmp_path: Path) -> RegistrySettings:
    """A copy of the registry with a working tree, whose train split a test tracks anew."""
    copied = shutil.copytree(Path(str(template.repo)).parent, tmp_path / "copy")
    git(copied / "work", "rm", "--quiet", "-r", FOLDER)
    shutil.rmtree(copied / "work" / FOLDER, ignore_errors=True)
    return dataclasses.replace(template, repo=Address(str(copied / "work")), remote_url=str(copied / "store"))


def track(settings: RegistrySettings, files: dict[str, LabeledImages], tracked: Iterable[str] | None = None) -> None:
    """Write files into the registry's working tree, let DVC track them or these paths, and tag the result."""
    work = Path(str(settings.repo))
    for name, rows in files.items():
        write_split(rows, work / name)
    with Repo(str(work)) as project:
        project.add([str(work / path) for path in tracked or files])
        with project.config.edit("local") as config:
            config["remote"]["storage"] = {"url": settings.remote_url}
        project.push()
    commit(work)


def commit(work: Path) -> None:
    git(work, "add", "--all")
    git(work, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "Track")
    git(work, "tag", "--force", TAG)


def registry(settings: RegistrySettings, **paths: str) -> DvcDataRegistry:
    return DvcDataRegistry(dataclasses.replace(settings, paths=RegistryPaths(**paths)))


def assert_train(found: DvcDataRegistry, expected: Iterable[LabeledImages], path: str) -> None:
    """Check that each file is one of the expected parts, in their order, and that the registry joins them."""
    dataset, parts = found.resolve("2.0.0"), list(expected)
    assert len(dataset.files("train")) == len(parts)
    assert dataset.paths["train"] == path
    data = found.read(dataset, "train")
    np.testing.assert_array_equal(data.images, np.concatenate([part.images for part in parts]))
    np.testing.assert_array_equal(data.labels, np.concatenate([part.labels for part in parts]))


def parts(name: str = "part-{:05d}.parquet") -> dict[str, LabeledImages]:
    return {f"{FOLDER}/{name.format(number)}": rows for number, rows in enumerate(PARTS)}


@pytest.mark.parametrize("tracked", [None, [FOLDER]], ids=["each file", "their directory"])
def test_parts_are_read_in_place_of_the_absent_default_file(
    settings: RegistrySettings, tracked: list[str] | None
) -> None:
    track(settings, parts(), tracked)
    assert_train(registry(settings), PARTS, f"{FOLDER}/part-*.parquet")
    # As in a registry of one file: the hash is that of the file itself.
    for file in registry(settings).resolve("2.0.0").files("train"):
        assert hashlib.md5(Path(file.uri).read_bytes(), usedforsecurity=False).hexdigest() == file.md5
    old = DvcDataRegistry(settings).resolve("1.0.0")
    assert len(old.files("train")) == 1
    assert old.digest != registry(settings).resolve("2.0.0").digest


@pytest.mark.parametrize("tracked", [None, [FOLDER]], ids=["each file", "their directory"])
def test_default_file_wins_over_parts_beside_it(settings: RegistrySettings, tracked: list[str] | None) -> None:
    track(settings, {**parts(), f"{FOLDER}/train.parquet": SPLITS["val"]}, tracked)
    assert_train(registry(settings), [SPLITS["val"]], f"{FOLDER}/train.parquet")


@pytest.mark.parametrize("above", [FOLDER, "data/fashion-mnist/processed"])
def test_a_pointer_that_was_left_for_a_directory_above_hides_no_file(settings: RegistrySettings, above: str) -> None:
    """Earlier versions left it there, when a stage began to make the file."""
    splits = {name: f"data/fashion-mnist/processed/{name}/{name}.parquet" for name in SPLITS}
    track(settings, {splits["train"]: SPLITS["val"]})
    made = {name: DvcDataRegistry(settings).resolve("2.0.0").files(name)[0] for name in SPLITS}
    work = Path(str(settings.repo))
    git(work, "rm", "--quiet", *(f"{path}.dvc" for path in splits.values()))
    outs = [{"path": splits[name], "hash": "md5", "md5": file.md5, "size": file.size} for name, file in made.items()]
    (work / "dvc.yaml").write_text(json.dumps({"stages": {"make": {"cmd": "make", "outs": [*splits.values()]}}}))
    (work / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"make": {"cmd": "make", "outs": outs}}}))
    # Its list is in no store.
    pointer = {"outs": [{"md5": f"{'0' * 32}.dir", "hash": "md5", "path": Path(above).name}]}
    (work / f"{above}.dvc").write_text(json.dumps(pointer))
    commit(work)
    assert_train(registry(settings), [SPLITS["val"]], splits["train"])


def test_names_without_zeros_are_ordered_as_text(settings: RegistrySettings) -> None:
    track(settings, parts("part-{}.parquet"))
    order = (0, 1, 10, *range(2, 10))
    assert_train(registry(settings), [PARTS[number] for number in order], f"{FOLDER}/part-*.parquet")


@pytest.mark.parametrize(
    ("pattern", "numbers"),
    [
        ("data/*/processed/train/more-?.parquet", [3]),
        (f"{FOLDER}/*.parquet", [3, 0, 1]),
        (f"./{FOLDER}//part-*", [0, 1]),
        (f"{FOLDER}/*/*", [2]),
        (f"{FOLDER}/part-00001.parquet", [1]),
        (f"{FOLDER}/part-0000[01].parquet", [0, 1]),
    ],
)
@pytest.mark.parametrize("tracked", [None, ["data/fashion-mnist/processed/train"]], ids=["each file", "directory"])
def test_pattern_matches_tracked_names_but_not_across_directories(
    settings: RegistrySettings, pattern: str, numbers: list[int], tracked: list[str] | None
) -> None:
    names = ("part-00000.parquet", "part-00001.parquet", "deeper/part-00002.parquet", "more-3.parquet")
    track(settings, {f"{FOLDER}/{name}": PARTS[number] for number, name in enumerate(names)}, tracked)
    assert_train(registry(settings, train=pattern), [PARTS[number] for number in numbers], pattern)


def test_file_whose_name_is_the_pattern_itself_wins(settings: RegistrySettings) -> None:
    track(settings, {f"{FOLDER}/part-[1].parquet": PARTS[0], f"{FOLDER}/part-1.parquet": PARTS[1]})
    pattern = f"{FOLDER}/part-[1].parquet"
    assert_train(registry(settings, train=pattern), [PARTS[0]], pattern)


def test_parts_do_not_replace_a_file_that_a_setting_names(settings: RegistrySettings) -> None:
    track(settings, parts())
    with pytest.raises(SplitNotFound, match=rf"no split 'train' at {FOLDER}/mine.parquet: "):
        registry(settings, train=f"{FOLDER}/mine.parquet").resolve("2.0.0")


def test_pattern_without_a_match_is_named_with_what_there_is_and_its_variable(settings: RegistrySettings) -> None:
    track(settings, parts())
    with pytest.raises(SplitNotFound) as refusal:
        registry(settings, train=f"{FOLDER}/train-*.parquet").resolve("2.0.0")
    assert str(refusal.value) == (
        f"{TAG} of {settings.repo} has no split 'train' at {FOLDER}/train-*.parquet: it has "
        "data/fashion-mnist/processed/test/test.parquet, "
        + "".join(f"{FOLDER}/part-{number:05d}.parquet, " for number in range(8))
        + f"{FOLDER}/part-00008.parquet and 3 more; correct DVC_TRAIN_DATA_PATH or choose another version"
    )


def test_directory_in_place_of_a_file_is_refused(settings: RegistrySettings) -> None:
    track(settings, parts(), [FOLDER])
    with pytest.raises(CorruptData, match=rf"^{FOLDER} of {TAG} .* is a directory: .* such as {FOLDER}/\*\.parquet"):
        registry(settings, train=FOLDER).resolve("2.0.0")


def test_part_that_was_never_pushed_is_named(settings: RegistrySettings) -> None:
    track(settings, parts())
    dataset = registry(settings).resolve("2.0.0")
    Path(dataset.files("train")[9].uri).unlink()
    with pytest.raises(CorruptData, match=rf"'train' is not at {dataset.files('train')[9].uri}: push it"):
        registry(settings).read(dataset, "train")


def test_list_of_a_directory_is_verified_too(settings: RegistrySettings) -> None:
    track(settings, parts(), [FOLDER])
    (listing,) = Path(settings.remote_url or "").rglob("*.dir")
    listing.chmod(0o644)
    content = listing.read_text()
    listing.write_text(content.replace("part-00001", "part-00099"))
    with pytest.raises(CorruptData, match=rf"'train' at {listing} is damaged"):
        registry(settings).resolve("2.0.0")
    listing.unlink()
    with pytest.raises(CorruptData, match=rf"'train' is not at {listing}: push it"):
        registry(settings).resolve("2.0.0")


def test_list_of_a_directory_that_is_as_deep_as_the_pattern_is_not_read(settings: RegistrySettings) -> None:
    track(settings, parts(), [FOLDER])
    for listing in Path(settings.remote_url or "").rglob("*.dir"):
        listing.unlink()
    with pytest.raises(SplitNotFound, match="no split 'train'"):
        registry(settings, train="data/fashion-mnist/processed/trai?").resolve("2.0.0")


def test_several_files_of_metadata_are_refused(settings: RegistrySettings) -> None:
    track(settings, parts())
    pattern = f"{FOLDER}/part-0000[0-2].parquet"
    with pytest.raises(InvalidSetting, match=r"^DVC_METRICS_PATH .* matches 3 files of .*: name one of them$"):
        registry(settings, metadata=pattern).resolve("2.0.0")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[", "has a list of files that cannot be read"),
        ("[" * 100_000, "has a list of files that cannot be read"),
        ("3", "has a list of files that cannot be read"),
        ('["part-0.parquet"]', "has a list of files that cannot be read"),
        ('[{"relpath": "part-0.parquet"}]', "has a list of files that cannot be read"),
        ('[{"relpath": "part-0.parquet", "md5": "../../../../etc/passwd"}]', "without the MD5 of 'part-0.parquet'"),
        ('[{"relpath": "part-0.parquet", "md5": null}]', "without the MD5 of 'part-0.parquet'"),
    ],
)
def test_list_of_a_directory_is_not_trusted(settings: RegistrySettings, content: str, complaint: str) -> None:
    _list(settings, content)
    with pytest.raises(CorruptData, match=f"^{FOLDER} of {TAG} of .* {complaint}"):
        registry(settings).resolve("2.0.0")


def test_names_in_a_list_open_no_file(settings: RegistrySettings) -> None:
    md5 = "0" * 32
    _list(
        settings,
        json.dumps([{"relpath": f"../{'../' * 9}etc/part-1.parquet", "md5": md5}, {"relpath": "", "md5": md5}]),
    )
    with pytest.raises(SplitNotFound, match="no split 'train'"):
        registry(settings).resolve("2.0.0")


def _list(settings: RegistrySettings, content: str) -> None:
    """Make a version whose train split is a directory with this list."""
    md5 = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
    listing = Path(settings.remote_url or "", "files/md5", md5[:2], f"{md5[2:]}.dir")
    listing.parent.mkdir(exist_ok=True)
    listing.write_text(content)
    pointer = Path(str(settings.repo), f"{FOLDER}.dvc")
    pointer.write_text(f"outs:\n- md5: {md5}.dir\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: train\n")
    commit(Path(str(settings.repo)))
