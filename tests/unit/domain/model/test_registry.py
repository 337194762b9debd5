import pytest

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.registry import ModelUri


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("models:/dev.fashion-mnist-classifier/12", ModelUri("dev.fashion-mnist-classifier", 12, None)),
        ("models:/prod.x@champion", ModelUri("prod.x", None, "champion")),
    ],
)
def test_both_forms_are_read_and_written_back(uri: str, expected: ModelUri) -> None:
    assert ModelUri.parse(uri) == expected
    assert str(expected) == uri


@pytest.mark.parametrize(
    "uri",
    [
        *("models:/x/0", "models:/x/01", "models:/x/-1", "models:/x/1/", "models:/x/1@champion", "models:/x/latest"),
        *("models:/x@", "models:/x@latest", "models:/x@v2", "models:/@champion", "models://x/1", "models:x/1"),
        *("models:/m-0123456789abcdef", "models:/x y/1", "MODELS:/x/1", " models:/x/1", "models:/x/1\n"),
    ],
)
def test_anything_else_is_refused(uri: str) -> None:
    with pytest.raises(InvalidSetting):
        ModelUri.parse(uri)
