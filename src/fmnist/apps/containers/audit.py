"""The audit app: out-of-fold models in this process, and cleanlab."""

from collections.abc import Mapping
from functools import partial

from dependency_injector import providers

from fmnist.adapters.cleanlab.label_review import CleanlabReview
from fmnist.adapters.filelock.lock import RunLock
from fmnist.adapters.fold_files import FoldFiles
from fmnist.adapters.jinja2.audit_page import render_audit
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.apps.containers.models import ModelsContainer
from fmnist.apps.containers.train import commit_of_this_code, discard_checkpoints, local_compute_of
from fmnist.apps.settings import Settings
from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.services.audit.audit import DataAuditing
from fmnist.domain.services.audit.out_of_fold import OutOfFold
from fmnist.ports.compute import Compute
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.label_review import LabelReview
from fmnist.ports.tracker import Tracker


def _auditing(settings: Settings, registry: DataRegistry, tracker: Tracker, review: LabelReview) -> DataAuditing:
    def open_fold(splits: Mapping[str, LabeledImages]) -> tuple[Compute, DatasetVersion]:
        memory = MemoryDataRegistry()
        dataset = memory.add("0.0.0", splits)  # its normalization is that of the fold
        return local_compute_of(settings, memory), dataset

    def models(dataset: DatasetVersion) -> OutOfFold:
        kept = FoldFiles(settings.audits / dataset.version / "folds")
        return OutOfFold(
            recipe=PRESETS["fast"].override(max_epochs=4, fade=0),
            open_fold=open_fold,
            recall=kept.recall,
            keep=kept.keep,
            discard=partial(discard_checkpoints, settings),
        )

    return DataAuditing(
        registry=registry,
        tracker=tracker,
        review=review,
        models=models,
        render=render_audit,
        code={"git_commit": commit_of_this_code(settings)},
        lock=RunLock(settings.audits),
    )


class AuditContainer(ModelsContainer):
    """`auditing()` audits a data version."""

    label_review = providers.Factory(CleanlabReview)
    auditing = providers.Factory(
        _auditing,
        settings=ModelsContainer.settings,
        registry=ModelsContainer.data_registry,
        tracker=ModelsContainer.tracker,
        review=label_review,
    )
