"""The files that make a Git repository a data registry: `dvc.yaml`, `params.yaml` and DVC's configuration, as text."""

from collections.abc import Mapping

from fmnist.adapters.dvc.stages import PATHS, RAW
from fmnist.adapters.idx.files import RAW_FILES
from fmnist.adapters.parquet.storage import CONNECT_SECONDS, READ_SECONDS, S3Settings

PARAMS_YAML = """\
# Images of `val`, the same number of every class, drawn from the 60,000 training images with this seed.
val_size: 5000
seed: 0
"""

UPLOAD_REMOTE = "upload"
"""The DVC remote that a build pushes to when the settings say where the data lies."""


def _listed(paths: list[str]) -> str:
    return "".join(f"\n      - {path}" for path in paths)


_RAW_PATHS = [f"{RAW}/{file.name}" for file in RAW_FILES]
_SPLIT_PATHS = list(PATHS.splits().values())

DVC_YAML = f"""\
# From the official files to a data version. `dvc repro` runs it wherever `fmnist` is installed.
stages:
  download:
    cmd: fmnist data stage download
    outs:{_listed(_RAW_PATHS)}
  process:
    cmd: fmnist data stage process --val-size ${{val_size}} --seed ${{seed}}
    deps:{_listed(_RAW_PATHS)}
    params: [val_size, seed]
    outs:{_listed(_SPLIT_PATHS)}
  analyze:
    cmd: fmnist data stage analyze
    deps:{_listed(_SPLIT_PATHS)}
    metrics:
      # In Git itself, so that a version's numbers show in a diff.
      - {PATHS.metadata}: {{cache: false}}
"""


def shared_config(remote: str, url: str, endpoint_url: str | None) -> str:
    """Return `.dvc/config` of a new registry. It is committed, so it holds no credentials."""
    core = f"[core]\n    remote = {remote}\n    analytics = false\n    check_update = false\n"
    return core + _remote(remote, {"url": url, "endpointurl": endpoint_url if url.startswith("s3://") else None})


def upload_config(remote: str, url: str, s3: S3Settings) -> str:
    """Return `.dvc/config.local`, which is never committed: how `remote` at `url` is reached from here.

    It overrules what the registry says of the same remote, as the settings do when data are read.
    """
    if not url.startswith("s3://"):
        return _remote(remote, {"url": url})
    # The registry's own remote may say otherwise, and has no say in this; boto's way is to heed AWS_CA_BUNDLE too.
    verify = None if remote == UPLOAD_REMOTE else "true"
    options = {
        "url": url,
        "endpointurl": s3.endpoint_url,
        "ssl_verify": verify if s3.verify_tls else "false",
        "connect_timeout": str(CONNECT_SECONDS),  # DVC would wait for ever
        "read_timeout": str(READ_SECONDS),
    }
    return _remote(remote, options)


def _remote(name: str, options: Mapping[str, str | None]) -> str:
    lines = [f"    {key} = {value}\n" for key, value in options.items() if value]
    return f"['remote \"{name}\"']\n" + "".join(lines)
