"""A graph in an archive that no network of fmnist has is refused, and the message says which part."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fmnist.adapters.torch.graph import read_network
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.errors import CorruptModel
from tests.integration.adapters.mlflow.traps import GRAPH, Entries, edited, packed, unpacked


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("exported") / "model.pt2"
    torch.export.save(torch.export.export(build_network("cnn").eval(), (torch.zeros(2, 1, 28, 28),)), file)
    return file


@pytest.fixture
def entries(archive: Path) -> Entries:
    return unpacked(archive)


def foreign_input(module: Any) -> None:
    module["signature"]["input_specs"][0] = {"custom_obj": {"arg": {"name": "x"}}}


def thousands_of_nodes(module: Any) -> None:
    module["graph"]["nodes"] = [{}] * 5001


def batch_norm_in_training(module: Any) -> None:
    node = next(node for node in module["graph"]["nodes"] if "batch_norm" in node["target"])
    node["inputs"][5]["arg"] = {"as_bool": True}


def text_argument(module: Any) -> None:
    module["graph"]["nodes"][0]["inputs"][1]["arg"] = {"as_string": "x"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (foreign_input, "its input .*custom_obj.* is not images and not a weight"),
        (thousands_of_nodes, "its graph has 5001 nodes, expected at most 5000"),
        (batch_norm_in_training, "its batch normalization is in training mode"),
        (text_argument, "its graph has the argument .*as_string.*, expected a tensor or a number"),
    ],
)
def test_graph_that_no_network_has_is_refused(entries: Entries, change: Callable[[Any], None], complaint: str) -> None:
    edited(entries, GRAPH, lambda it: change(it["graph_module"]))
    with pytest.raises(CorruptModel, match=rf"model\.pt2 is refused: {complaint}"):
        read_network(packed(entries))


def test_graph_of_many_megabytes_is_refused_before_it_is_parsed(entries: Entries) -> None:
    entries[GRAPH] = json.dumps(" " * 2**24).encode()
    with pytest.raises(CorruptModel, match="a JSON entry has 16777218 bytes, expected at most 16777216"):
        read_network(packed(entries))


def test_entries_that_overlap_are_refused(entries: Entries) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
        for entry in file.infolist():
            entry.file_size = entry.compress_size = len(entries[GRAPH]) + 2**20
    with pytest.raises(CorruptModel, match="its entries are larger than the file"):
        read_network(buffer.getvalue())
