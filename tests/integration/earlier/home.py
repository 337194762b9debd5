"""The state directory of an earlier version, unpacked in a new place."""

import json
import sqlite3
import tarfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

_ARCHIVE = Path(__file__).with_name("home.tar.xz")
_MADE_AT = "/tmp/fmnist-f3b97ae"  # noqa: S108 - a name in the archive, not a file here


@dataclass(frozen=True)
class EarlierHome:
    """A copy of the earlier state directory. `runs` gives each run's id by its name in `make.py`."""

    path: Path
    runs: Mapping[str, str]


def unpack(target: Path) -> EarlierHome:
    """Unpack into `target`, and update the paths in MLflow's database, the models and the data registry."""
    with tarfile.open(_ARCHIVE) as archive:
        archive.extractall(target, filter="data")
    with closing(sqlite3.connect(target / "mlflow.db")) as database, database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, kind, *_ in database.execute(f'PRAGMA table_info("{table}")').fetchall():
                if "CHAR" in kind or "TEXT" in kind:
                    database.execute(
                        f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE instr("{column}", ?)',  # noqa: S608
                        (_MADE_AT, str(target), _MADE_AT),
                    )
    for path in (target / "data-registry.git/config", *target.glob("artifacts/models/*/artifacts/MLmodel")):
        path.write_text(path.read_text(encoding="utf-8").replace(_MADE_AT, str(target)), encoding="utf-8")
    return EarlierHome(target, json.loads((target / "runs.json").read_text(encoding="utf-8")))
