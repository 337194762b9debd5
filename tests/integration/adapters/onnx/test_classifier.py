import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmnist.adapters.onnx.classifier import OnnxClassifier
from fmnist.adapters.onnx.export import export_onnx
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.errors import CorruptModel
from fmnist.testing.data import toy_info

INFO = toy_info()


@pytest.fixture(scope="module")
def model() -> bytes:
    torch.manual_seed(0)
    return export_onnx(build_network("cnn").eval())


def test_threads_get_the_predictions_for_their_own_images(model: bytes) -> None:
    classifier = OnnxClassifier(model, INFO, threads=1)
    batches = np.random.default_rng(0).normal(size=(40, 3, 1, 28, 28)).astype(np.float32)
    expected = [classifier.logits(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(classifier.logits, batches))
    np.testing.assert_array_equal(found, expected)


def test_bytes_that_are_not_a_model_are_refused(model: bytes) -> None:
    for spoiled in (b"", b"no model", model[: len(model) // 2]):
        with pytest.raises(CorruptModel, match="ONNX"):
            OnnxClassifier(spoiled, INFO)


def test_model_with_other_classes_than_its_info_is_refused(model: bytes) -> None:
    with pytest.raises(CorruptModel, match="logits"):
        OnnxClassifier(model, toy_info(class_names=("a", "b")))


def test_model_for_one_batch_size_refuses_another(model: bytes) -> None:
    fixed = onnx.load_from_string(model)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    classifier = OnnxClassifier(fixed.SerializeToString(), INFO)
    assert classifier.logits(np.zeros((4, 1, 28, 28), np.float32)).shape == (4, 10)
    with pytest.raises(CorruptModel, match=r"the model fails on 1 image: .*Got: 1 Expected: 4"):
        classifier.logits(np.zeros((1, 1, 28, 28), np.float32))


PLACES = ["weights.bin", "./weights.bin", "folder/weights.bin", "../weights.bin", "{absolute}", "/proc/self/environ"]


@pytest.mark.parametrize("place", PLACES)
def test_weights_in_other_files_are_not_read(
    model: bytes, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default, ONNX Runtime reads them from the working directory."""
    (tmp_path / "work" / "folder").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    external = onnx.load_from_string(model)
    bias = next(each for each in external.graph.initializer if list(each.dims) == [len(CLASS_NAMES)])
    content = onnx.numpy_helper.to_array(bias).tobytes()
    for file in ("weights.bin", "folder/weights.bin", "../weights.bin"):
        Path(file).write_bytes(content)
    bias.ClearField("raw_data")
    bias.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": place.format(absolute=tmp_path / "weights.bin"), "length": len(content)}.items():
        bias.external_data.add(key=key, value=str(value))
    with pytest.raises(CorruptModel, match="cannot load the model"):
        OnnxClassifier(external.SerializeToString(), INFO)


def test_custom_operators_are_refused(model: bytes) -> None:
    foreign = onnx.load_from_string(model)
    foreign.graph.node[0].domain = "evil"
    foreign.opset_import.add(domain="evil", version=1)
    with pytest.raises(CorruptModel, match="cannot load the model"):
        OnnxClassifier(foreign.SerializeToString(), INFO)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_model_is_refused_or_predicts_and_prints_nothing(
    data: st.DataObject, model: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = bytearray(model)
    near_an_end = st.integers(0, 4000)  # the graph is at both ends, and the weights are between
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.one_of(near_an_end, near_an_end.map(lambda it: len(model) - 1 - it)))
        damaged[place] = data.draw(st.integers(0, 255))
    with suppress(CorruptModel):
        OnnxClassifier(bytes(damaged), INFO, threads=1).logits(np.zeros((2, 1, 28, 28), np.float32))
    assert capsys.readouterr().out == ""


def test_module_imports_no_torch_and_no_mlflow() -> None:
    code = "import sys, fmnist.adapters.onnx.classifier; print({'torch', 'mlflow', 'onnx'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
