"""The files that make a Git repository a data registry, as text, and the list of files that a build writes.

A shell runs the commands of `dvc.yaml`, so they hold no value from a registry: stages read `params.yaml` themselves.
"""

from pathlib import PurePosixPath

from fmnist.adapters.dvc.stages import PARAMS, PATHS, RAW
from fmnist.adapters.idx.files import RAW_FILES
from fmnist.adapters.idx.splits import SEED, VAL_SIZE

DVC_FILE = "dvc.yaml"

PARAMS_YAML = f"""\
# Images of `val`, the same number of every class, drawn from the 60,000 training images with this seed.
val_size: {VAL_SIZE}
seed: {SEED}
"""


def _listed(paths: list[str]) -> str:
    return "".join(f"\n      - {path}" for path in paths)


_RAW_PATHS = [f"{RAW}/{file.name}" for file in RAW_FILES]
_SPLIT_PATHS = list(PATHS.splits().values())

IGNORE_FILES = sorted({str(PurePosixPath(path).parent / ".gitignore") for path in (*_RAW_PATHS, *_SPLIT_PATHS)})
"""The ignore files in which DVC lists the files that Git must not track."""

POINTERS = tuple(f"{path}.dvc" for path in (*_RAW_PATHS, *_SPLIT_PATHS, PATHS.metadata))
"""Pointer files that `dvc add` would write for outputs of stages. DVC refuses a file that has both."""

COMMITTED = (DVC_FILE, "dvc.lock", PARAMS, PATHS.metadata, *IGNORE_FILES)
"""The files that a build commits."""

DVC_YAML = f"""\
# From the official files to a data version. `dvc repro` runs it wherever `fmnist` is installed.
stages:
  download:
    cmd: fmnist data stage download
    outs:{_listed(_RAW_PATHS)}
  process:
    cmd: fmnist data stage process
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
