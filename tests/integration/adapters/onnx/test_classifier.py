import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
import torch

from fmnist.adapters.onnx.classifier import OnnxClassifier
from fmnist.adapters.onnx.export import export_onnx
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.images import CLASS_NAMES
from fmnist.domain.model.normalization import Normalization
from fmnist.domain.model.registry import ModelInfo

INFO = ModelInfo(
    architecture="cnn",
    normalization=Normalization(mean=0.286, std=0.353),
    class_names=CLASS_NAMES,
    lineage={},
    metrics={},
)


@pytest.fixture(scope="module")
def model() -> bytes:
    torch.manual_seed(0)
    return export_onnx(build_network("cnn").eval())


def test_threads_get_the_answers_to_their_own_images(model: bytes) -> None:
    classifier = OnnxClassifier(model, INFO, threads=1)
    batches = np.random.default_rng(0).normal(size=(40, 3, 1, 28, 28)).astype(np.float32)
    expected = [classifier.logits(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(classifier.logits, batches))
    np.testing.assert_array_equal(found, expected)


def test_bytes_that_are_no_model_are_refused(model: bytes) -> None:
    for spoiled in (b"", b"no model", model[: len(model) // 2]):
        with pytest.raises(CorruptModel, match="ONNX"):
            OnnxClassifier(spoiled, INFO)


def test_model_with_other_classes_than_its_info_is_refused(model: bytes) -> None:
    two = ModelInfo(
        architecture="cnn", normalization=INFO.normalization, class_names=("a", "b"), lineage={}, metrics={}
    )
    with pytest.raises(CorruptModel, match="logits"):
        OnnxClassifier(model, two)


def test_a_model_for_batches_of_one_size_says_so_when_it_is_asked_for_another(model: bytes) -> None:
    fixed = onnx.load_from_string(model)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    classifier = OnnxClassifier(fixed.SerializeToString(), INFO)
    assert classifier.logits(np.zeros((4, 1, 28, 28), np.float32)).shape == (4, 10)
    with pytest.raises(CorruptModel, match=r"does not answer for 1 image: .*Got: 1 Expected: 4"):
        classifier.logits(np.zeros((1, 1, 28, 28), np.float32))


def test_module_imports_no_torch_and_no_mlflow() -> None:
    code = "import sys, fmnist.adapters.onnx.classifier; print({'torch', 'mlflow', 'onnx'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
