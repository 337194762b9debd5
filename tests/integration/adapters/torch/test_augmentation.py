import pytest
import torch

from fmnist.adapters.torch.augmentation import augment
from fmnist.domain.model.training.recipe import Recipe

IMAGES = torch.randint(1, 256, (200, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def augmented(recipe: Recipe, epoch: int = 0, seed: int = 1, epoch_seed: int = 2) -> torch.Tensor:
    return augment(IMAGES, recipe, epoch=epoch, seed=seed, epoch_seed=epoch_seed)


def test_a_recipe_without_augmentation_does_not_change_images() -> None:
    assert torch.equal(augmented(Recipe()), IMAGES)


def test_two_epochs_show_every_image_unchanged_and_mirrored() -> None:
    recipe = Recipe(flip=True)
    first, second = augmented(recipe, epoch=0, epoch_seed=2), augmented(recipe, epoch=1, epoch_seed=3)
    mirrored = IMAGES.flip(2)
    mirrored_first = (first == mirrored).all(dim=(1, 2))
    assert 60 < int(mirrored_first.sum()) < 140
    assert torch.equal(torch.where(mirrored_first[:, None, None], mirrored, IMAGES), first)
    assert torch.equal(torch.where(mirrored_first[:, None, None], IMAGES, mirrored), second)
    assert torch.equal(augmented(recipe, epoch=2, epoch_seed=4), first)


def test_a_shifted_image_is_a_window_of_the_image_on_black() -> None:
    shifted = augmented(Recipe(shift=2))
    padded = torch.zeros(200, 32, 32, dtype=torch.uint8)
    padded[:, 2:30, 2:30] = IMAGES
    windows = [padded[:, down : down + 28, right : right + 28] for down in range(5) for right in range(5)]
    matches = torch.stack([(window == shifted).all(dim=(1, 2)) for window in windows])
    assert torch.equal(matches.sum(dim=0), torch.ones(200, dtype=torch.int64))
    assert matches.any(dim=1).all()  # every possible shift occurs


def test_erasing_blackens_at_most_one_square() -> None:
    erased = augmented(Recipe(erase=6))
    black = erased == 0
    assert torch.equal(erased[~black], IMAGES[~black])
    rows, columns = black.any(dim=2).sum(dim=1), black.any(dim=1).sum(dim=1)
    assert torch.equal(black.sum(dim=(1, 2)), rows * columns)
    assert (int(rows.max()), int(columns.max())) == (6, 6)
    assert int(black.sum(dim=(1, 2)).min()) >= 9  # a corner: the center is never outside


def test_a_quarter_of_the_images_fades() -> None:
    images = IMAGES.clone()
    images[:, 0, :2] = torch.tensor([0, 255], dtype=torch.uint8)
    faded = augment(images, Recipe(fade=100), epoch=0, seed=1, epoch_seed=2)
    black, white = faded[:, 0, 0].int(), 255 - faded[:, 0, 1].int()
    same = (faded == images).all(dim=(1, 2))
    assert 120 < int(same.sum()) < 180
    for found in (black, white):
        assert torch.equal(found[same], torch.zeros_like(found[same]))
        assert 80 < int(found.max()) <= 102  # rounding takes up to 2 levels of white
    assert int(black.max()) <= 100
    # Each image keeps the order of its pixels, and the levels between black and white are even.
    expected = black[:, None, None] + images * (1 - (black + white)[:, None, None] / 255)
    assert float((faded - expected).abs().max()) <= 2


def test_the_strongest_fading_keeps_white_above_black() -> None:
    images = torch.zeros(5000, 28, 28, dtype=torch.uint8)
    images[:, :, 1] = 255
    faded = augment(images, Recipe(fade=126), epoch=0, seed=1, epoch_seed=2).int()
    assert int((faded[:, 0, 1] - faded[:, 0, 0]).min()) > 0
    assert int(faded[:, 0, 0].max()) == 126


@pytest.mark.parametrize("recipe", [Recipe(flip=True), Recipe(shift=2), Recipe(erase=6), Recipe(fade=64)])
def test_the_caller_s_images_and_random_state_are_not_changed(recipe: Recipe) -> None:
    before, state = IMAGES.clone(), torch.get_rng_state()
    augmented(recipe)
    assert torch.equal(IMAGES, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_equal_seeds_give_equal_epochs_and_others_do_not() -> None:
    recipe = Recipe(flip=True, shift=2, erase=6, fade=64)
    assert torch.equal(augmented(recipe), augmented(recipe))
    assert not torch.equal(augmented(recipe), augmented(recipe, epoch_seed=3))
