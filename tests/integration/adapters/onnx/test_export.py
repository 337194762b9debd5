import numpy as np
import pytest
import torch

from fmnist.adapters.onnx.classifier import OnnxClassifier
from fmnist.adapters.onnx.export import export_onnx
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.training.recipe import ARCHITECTURES, Architecture
from fmnist.testing.data import toy_info


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_exported_network_predicts_like_torch_for_any_batch(
    architecture: Architecture, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    network = build_network(architecture).train()
    with torch.no_grad():
        network(torch.randn(64, 1, 28, 28))  # changes the statistics of batch norm from their neutral start values
    network.eval()
    classifier = OnnxClassifier(export_onnx(network), toy_info(architecture=architecture))
    assert capfd.readouterr() == ("", "")
    for count in (1, 2, 7):
        inputs = torch.randn(count, 1, 28, 28)
        with torch.inference_mode():
            expected = network(inputs).numpy()
        np.testing.assert_allclose(classifier.logits(inputs.numpy()), expected, atol=1e-4, rtol=1e-4)
