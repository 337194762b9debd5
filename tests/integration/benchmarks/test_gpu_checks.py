import pytest
import torch

from benchmarks.gpu_checks import VARIANTS, augmented, distances, wrong_versions
from fmnist.domain.model.training.recipe import Architecture
from fmnist.testing.data import toy_images

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("architecture", ["cnn-large", "wrn-16-2"])
def test_fast_steps_have_the_logits_and_the_gradient_of_plain_ones(architecture: Architecture, name: str) -> None:
    variant = VARIANTS[name]
    found = distances(architecture, variant, toy_images(64), DEVICE)
    assert set(found) == set(variant.most) == {"logits", "gradient"}
    assert all(found[part] <= most for part, most in variant.most.items()), found
    assert (found["logits"] > 1e-3) == variant.bfloat16, "bfloat16 is used exactly where it is named"


def test_augmentation_agrees_with_a_search_over_all_versions_of_each_image() -> None:
    images = toy_images(64).images
    found = augmented(images, DEVICE)
    assert wrong_versions(found, images) == 0
    upside_down = found[:, ::-1]
    assert wrong_versions(upside_down, images) > 60
    brighter = found.copy()
    brighter[:5, 14, 14] += 1
    assert wrong_versions(brighter, images) == 5
