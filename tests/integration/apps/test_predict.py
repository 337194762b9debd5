"""`fmnist predict`: which images it accepts, and that files and splits give the same predictions."""

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.testing.data import toy_images
from tests.integration.apps.conftest import Trained
from tests.integration.apps.here import Here
from tests.unit.adapters.inputs.files import KINDS, csv


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give either files or --split"),
        (["picture.png", "--split", "test"], "give either files or --split"),
        (["absent.png"], "absent.png: No such file or directory"),
        (["empty"], "empty: no file is there"),
        (["text.png"], "text.png: not a PNG or JPEG picture"),
        (["text"], "text: not a file of a known kind"),
        (["bad.csv"], "bad.csv[1]: 1 values, expected 785"),
        (["none.npy"], "no images in none.npy: expected at least one"),
        (["many.npy"], "more than 1000 images: fmnist predict shows each one; for more, run fmnist predict-batch"),
        (["wide.npy"], "wide.npy: images of shape (3, 29, 28): expected one of (n, 28, 28)"),
        (["--split", "tset"], "has no split 'tset': it has train, val, test"),
        (["--split", "test", "--index", "four"], "--index 'four' is not of the form 0-4,17"),
        (["--split", "test", "--index", "-1"], "--index '-1' is not of the form 0-4,17"),
        (["--split", "test", "--index", ""], "--index '' is not of the form 0-4,17"),
        (["--split", "test", "--index", "4-2"], "--index '4-2' is not within the split's 50 images, 0-49"),
        (["--split", "test", "--index", "0-50"], "--index '0-50' is not within the split's 50 images, 0-49"),
        (["--split", "test", "--index", "0-999999999"], "is not within the split's 50 images"),
        (["--split", "test", "--index", "0-99999999999999"], "is not of the form 0-4,17"),
        (["--split", "test", "--model", "best"], "model URI 'best' must be models:/NAME/VERSION or models:/NAME@ALIAS"),
        (["--split", "test", "--model", "models:/a b/1"], "may have only letters"),
        (["--split", "test", "--model", "models:/dev.fashion-mnist-classifier/9"], "is not in MLflow"),
        (["--split", "test", "--model", "models:/prod.fashion-mnist-classifier/1"], "is not in MLflow"),
        (["--split", "test", "--model", "models:/dev.fashion-mnist-classifier@champion"], "has no alias 'champion'"),
    ],
)
def test_unusable_images_and_models_are_bad_input(
    there: Here, trained: Trained, arguments: list[str], complaint: str
) -> None:
    home = trained.command.home
    (home / "empty").mkdir(exist_ok=True)
    for name in ("text", "text.png"):
        (home / name).write_text("no picture")
    (home / "bad.csv").write_bytes(csv(toy_images(1)) + b"no image\n")
    for name, shape in (("wide", (3, 29, 28)), ("none", (0, 28, 28)), ("many", (1001, 28, 28))):
        np.save(home / f"{name}.npy", np.zeros(shape, np.uint8))
    assert complaint in there.refused("predict", *arguments)


def test_error_without_a_model_says_what_to_run(here: Here) -> None:
    line = here.refused("predict", "--split", "test")
    assert line == "no version of dev.fashion-mnist-classifier is registered yet; run fmnist train, or name a model"


def test_number_of_classes_is_one_to_ten(there: Here) -> None:
    for number in ("0", "11"):
        assert there("predict", "--split", "test", "--top-k", number)[0] == 2


def as_json(there: Here, *arguments: str) -> Any:
    code, out, err = there("predict", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)["images"]


def test_files_get_the_same_predictions_as_their_images_in_the_split(there: Here, trained: Trained) -> None:
    home, registry = trained.command.home, DvcDataRegistry(trained.command.registry)
    images = registry.read(registry.resolve(), "val").images[:3]
    np.save(home / "batch.npy", images)
    Image.fromarray(images[0]).save(home / "one.png")
    Image.fromarray(images[0]).save(home / "one.jpg", quality=100)
    expected = [image["predictions"] for image in as_json(there, "--split", "val", "--index", "0-2", "--top-k", "3")]
    assert [len(ranked) for ranked in expected] == [3, 3, 3]

    png, jpeg, *batch = as_json(there, "one.png", "one.jpg", "batch.npy", "--top-k", "3")
    assert [image["image"] for image in batch] == ["batch.npy[0]", "batch.npy[1]", "batch.npy[2]"]
    assert [image["predictions"] for image in (png, *batch)] == [expected[0], *expected]
    assert jpeg["predictions"][0]["class_id"] == expected[0][0]["class_id"]
    assert "truth" not in png


def test_every_kind_of_file_gets_the_answers_of_the_split_with_its_labels(there: Here, trained: Trained) -> None:
    home, registry = trained.command.home, DvcDataRegistry(trained.command.registry)
    data = registry.read(registry.resolve(), "val").rows(0, 3)
    expected = [image["predictions"] for image in as_json(there, "--split", "val", "--index", "0-2")]
    truths = [image["truth"] for image in as_json(there, "--split", "val", "--index", "0-2")]
    for number, kind in enumerate(KINDS):
        folder = home / f"kind-{number}"
        folder.mkdir()
        for end, content in KINDS[kind](data).items():
            (folder / f"data{end}").write_bytes(content)
        answers = as_json(there, folder.name)
        assert [answer["predictions"] for answer in answers] == expected
        assert [answer["truth"] for answer in answers] == truths
        name = f"{folder.name}/data{next(iter(KINDS[kind](data)))}"
        assert [answer["image"] for answer in answers] == [f"{name}[0]", f"{name}[1]", f"{name}[2]"]


def test_pictures_of_a_folder_are_named_below_it(there: Here, trained: Trained) -> None:
    folder = trained.command.home / "pictures"
    folder.mkdir()
    for name in ("b.png", "a.jpg"):
        Image.new("L", (28, 28)).save(folder / name)
    assert [answer["image"] for answer in as_json(there, "pictures/")] == ["pictures/a.jpg", "pictures/b.png"]
    assert [answer["image"] for answer in as_json(there, "pictures/b.png")] == ["pictures/b.png"]
    assert [answer["image"] for answer in as_json(there, str(folder / "b.png"))] == [str(folder / "b.png")]


def test_split_is_that_of_the_model_s_own_data_version(there: Here, trained: Trained) -> None:
    first = as_json(there, "--split", "val", "--index", "3,0")
    assert [(image["image"], image["truth"]) for image in first] == [("val[3]", "Dress"), ("val[0]", "T-shirt/top")]
    assert as_json(there, "--split", "val", "--index", "3,0", "--model", trained.result["model_uri"]) == first
    code, out, err = there("predict", "--split", "val", "--index", "3", DVC_DATA_VERSION="0.9.0")
    assert (code, err) == (0, "")
    assert out.startswith(f"model {trained.result['model_uri']}\n")
    assert "Dress" in out
    assert "val[3]" not in out
    assert "right" in out or "✓" in out


def test_top_classes_of_each_image_are_listed_below_the_pictures(there: Here, trained: Trained) -> None:
    (expected,) = as_json(there, "--split", "val", "--index", "3", "--top-k", "2")
    told = there.told("predict", "--split", "val", "--index", "3", "--top-k", "2")
    classes = ", ".join(f"{each['class_name']} {each['confidence']:.1%}" for each in expected["predictions"])
    assert told.splitlines()[-1] == f"val[3]  {classes}"


def test_explanations_are_in_the_document_and_beside_the_pictures(there: Here) -> None:
    (explained,) = as_json(there, "--split", "val", "--index", "3", "--explain")
    assert np.shape(explained["explanation"]["map"]) == (28, 28)
    assert explained["explanation"]["images"] == 82
    (plain,) = as_json(there, "--split", "val", "--index", "3")
    assert {**plain, "explanation": explained["explanation"]} == explained
    largest = 100 * np.max(explained["explanation"]["map"])
    assert f"falls by up to {largest:.0f} %" in there.told("predict", "--split", "val", "--index", "3", "--explain")
