"""Keeps the predictions of folds in numpy's own files, so that an interrupted audit goes on."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.evaluation.metrics import Probabilities


@dataclass(frozen=True, slots=True)
class FoldFiles:
    """One `KEY.npz` for each fold, in a directory that is created if needed."""

    directory: Path

    def recall(self, key: str) -> Probabilities | None:
        """Return what was kept under this key; None if there is nothing, or nothing readable."""
        try:
            # Opened here: numpy leaves the file of a damaged archive open.
            with (self.directory / f"{key}.npz").open("rb") as file, np.load(file) as arrays:
                return np.asarray(arrays["probabilities"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def keep(self, key: str, probabilities: Probabilities) -> None:
        """Keep the predictions, or raise `StoreUnavailable`."""
        incoming = self.directory / f"incoming-{key}.npz"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(incoming, probabilities=probabilities)
            incoming.rename(self.directory / f"{key}.npz")
        except OSError as error:
            raise StoreUnavailable(f"cannot keep the predictions of a fold in {self.directory}: {error}") from error
