"""Tools for tests of other packages: in-memory adapters, toy data, and in `contracts` the test suites of the ports."""

from fmnist.adapters.memory.batch_output import MemoryBatchOutput
from fmnist.adapters.memory.batch_prediction import MemoryBatchPrediction
from fmnist.adapters.memory.classifier import MeanClassifier
from fmnist.adapters.memory.compute import MemoryCompute
from fmnist.adapters.memory.desired_state import MemoryDesiredState
from fmnist.adapters.memory.image_source import MemoryFile, MemoryImageSource
from fmnist.adapters.memory.label_review import MemoryLabelReview
from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.memory.serving_memory import MemoryServingMemory
from fmnist.adapters.memory.study import MemoryStudy
from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.testing.data import toy_images, toy_splits

__all__ = [
    "MeanClassifier",
    "MemoryBatchOutput",
    "MemoryBatchPrediction",
    "MemoryCompute",
    "MemoryDataRegistry",
    "MemoryDesiredState",
    "MemoryFile",
    "MemoryImageSource",
    "MemoryLabelReview",
    "MemoryModelStore",
    "MemoryServingMemory",
    "MemoryStudy",
    "MemoryTracker",
    "toy_images",
    "toy_splits",
]
