from collections.abc import Sequence

import pytest

from fmnist.adapters.memory.image_source import MemoryFile, MemoryImageSource
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.ports.image_source import ImageSource
from fmnist.testing.contracts.image_source import ImageSourceContract


class TestMemoryImageSource(ImageSourceContract):
    @pytest.fixture
    def source(self) -> MemoryImageSource:
        return MemoryImageSource()

    @pytest.fixture
    def folder(self) -> str:
        return "memory/in"

    def put(self, source: ImageSource, uri: str, data: LabeledImages, bad: Sequence[int] = ()) -> None:
        assert isinstance(source, MemoryImageSource)
        source.files[uri] = MemoryFile(
            data.images, data.labels, dict.fromkeys(bad, "image is null"), {"id": range(len(data))}
        )
