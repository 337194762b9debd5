"""Makes small real registries and repositories quickly, for integration tests."""

import json
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from dvc.repo import Repo

from fmnist.adapters.dvc.settings import RegistryPaths, RegistrySettings, part_paths
from fmnist.adapters.parquet.files import write_split
from fmnist.adapters.parquet.storage import S3Settings
from fmnist.domain.model.address import Address
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.metadata import describe

ROOT = Path(__file__).parents[2]
MANIFEST = "deploy/base/rayservice.yaml"
_IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgSign=false")


def make_dvc_registry(
    directory: Path,
    versions: Mapping[str, Mapping[str, LabeledImages]],
    legacy: Collection[str] = (),
    remote_url: str | None = None,
    s3: S3Settings | None = None,
    files: Mapping[str, int] | None = None,
) -> RegistrySettings:
    """Make a DVC data registry with these versions in about 1 s: a bare repository and a store, both in `directory`.

    Versions named in `legacy` have the layout of 1.x: nested lists, int64 labels, metadata tracked by DVC.
    The train split of a version named in `files` has so many files.
    `remote_url` puts the data elsewhere, such as `s3://BUCKET` in the store of `s3`, and the repository names it.

        settings = make_dvc_registry(tmp_path, {"1.0.0": toy_splits(train=200)})
        dataset = DvcDataRegistry(settings).resolve()
    """
    work, bare, paths = directory / "work", directory / "registry.git", RegistryPaths()
    url, s3 = remote_url or str(directory / "store"), s3 or S3Settings()
    git(directory, "init", "--quiet", "--initial-branch=main", str(work))
    with Repo.init(str(work)) as project, project.config.edit("repo") as config:
        config["remote"]["storage"] = {"url": url, **({"endpointurl": s3.endpoint_url} if s3.endpoint_url else {})}
        config["core"] = {"remote": "storage", "analytics": False}
    if s3.access_key_id:
        with Repo(str(work)) as project, project.config.edit("local") as config:
            config["remote"]["storage"] = {
                "access_key_id": s3.access_key_id,
                "secret_access_key": s3.secret_access_key,
            }
    with Repo(str(work)) as project:
        for version, splits in versions.items():
            _write_version(project, work, splits, (files or {}).get(version, 1), legacy=version in legacy)
            project.push()
            git(work, "add", "--all")
            git(work, *_IDENTITY, "commit", "--quiet", "--allow-empty", "--message", version)
            git(work, *_IDENTITY, "tag", "--annotate", "--message", version, f"fashion-mnist-v{version}")
    git(directory, "clone", "--quiet", "--bare", str(work), str(bare))
    return RegistrySettings(repo=Address(str(bare)), remote_url=url, paths=paths, s3=s3)


def write_legacy_split(data: LabeledImages, path: Path) -> None:
    """Write a split in the layout of 1.x data versions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = pa.array(data.images.tolist(), pa.list_(pa.list_(pa.uint8())))
    pq.write_table(pa.table({"image": images, "label": pa.array(data.labels.tolist(), pa.int64())}), path)


def change_files(repo: str, work: Path, files: Mapping[str, str], branch: str = "main") -> None:
    """Clone a repository into `work` at a branch or tag, and commit these files there. Nothing is pushed."""
    git(work.parent, "-c", "advice.detachedHead=false", "clone", "--quiet", f"--branch={branch}", repo, str(work))
    for name, content in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(content, encoding="utf-8")
    git(work, "add", "--all")
    git(work, *_IDENTITY, "commit", "--quiet", "--message", "Change files")


def git(directory: Path, *arguments: str) -> str:
    """Run git and return its output."""
    return subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True, text=True).stdout


def _write_version(project: Repo, work: Path, splits: Mapping[str, LabeledImages], files: int, *, legacy: bool) -> None:
    paths, tracked = RegistryPaths(), list[str]()
    for pointer in work.glob("data/**/*.parquet.dvc"):
        git(work, "rm", "--quiet", "--force", str(pointer))
    for split, data in splits.items():
        parts = part_paths(paths.splits()[split], files if split == "train" else 1)
        for path, rows in zip(parts, data.cut(len(parts)), strict=True):
            (write_legacy_split if legacy else write_split)(rows, work / path)
            tracked.append(str(work / path))
    metadata = work / paths.metadata
    metadata.write_text(json.dumps(describe(splits)), encoding="utf-8")
    if legacy:
        tracked.append(str(metadata))
    project.add(tracked)
