"""Reads a `pt2` archive (`torch.export`) as data: a graph in JSON, and raw weights. It unpickles and runs nothing.

`torch.export.load` is not used, because it runs content of an archive: pickles, compiled libraries, and Python text in
guards and symbolic sizes. An archive with an entry that fmnist's networks do not have is refused.
"""

import io
import json
import pickletools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from zipfile import ZIP_STORED, ZipFile

import torch

from fmnist.domain.model.errors import CorruptModel

_ROOT = "model/"
_GRAPH = "models/model.json"
_WEIGHTS = "data/weights/"
_WEIGHTS_CONFIG = "data/weights/model_weights_config.json"
_CONSTANTS_CONFIG = "data/constants/model_constants_config.json"
_SAMPLE_INPUTS = "data/sample_inputs/model.pt"
_FORMAT = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": sys.byteorder.encode()}
_KNOWN = {_GRAPH, _WEIGHTS_CONFIG, _CONSTANTS_CONFIG, _SAMPLE_INPUTS, ".data/version", ".data/serialization_id"}
_WEIGHT = re.compile(rf"{_WEIGHTS}weight_[0-9]{{1,9}}")
_JSON_BYTES = 2**24

_DTYPES = {5: torch.int64, 7: torch.float32}  # `ScalarType` of torch's schema

# Pickle opcodes that import an object, and the only objects that a pickle of tensors imports.
_IMPORTS = {"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
_TENSOR_PARTS = {"torch._utils _rebuild_tensor_v2", "torch FloatStorage", "collections OrderedDict"}


@dataclass(frozen=True, slots=True)
class ExportArchive:
    """The content of an archive. Its weights are checked, but its graph may be any JSON.

    Attributes:
        graph: `graph_module` of torch's schema.
        weights: tensors by their name in the network.
    """

    graph: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Read the bytes of a `.pt2` file.

        Raises:
            CorruptModel: it contains something that could run as code.
            Exception: it is damaged. The type comes from zipfile, json or torch.
        """
        records = _records(content)
        _check_sample_inputs(records[_SAMPLE_INPUTS])
        if _json(records[_CONSTANTS_CONFIG])["config"]:
            raise CorruptModel("it has constants or objects in addition to its weights")
        document = _json(records[_GRAPH])
        if document["guards_code"]:
            raise CorruptModel("its graph has guards, which are Python code")
        return cls(document["graph_module"], _weights(records))


def _records(content: bytes) -> dict[str, bytes]:
    records = {}
    for name, record in _stored(content).items():
        inner = name.removeprefix(_ROOT)
        if inner == name or not (inner in _KNOWN or inner in _FORMAT or _WEIGHT.fullmatch(inner)):
            raise CorruptModel(f"a network of fmnist has no entry {name[:200]!r}")
        records[inner] = record
    for name, expected in _FORMAT.items():
        if records[name] != expected:
            raise CorruptModel(f"{name} is {records[name][:20]!r}, expected {expected!r}")
    return records


def _stored(content: bytes) -> dict[str, bytes]:
    """Read a zip whose entries are not compressed and do not overlap, so that together they fit into the file."""
    if not content.startswith(b"PK\3\4"):
        raise CorruptModel("it does not start as a zip file")  # torch would unpickle it
    with ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != ZIP_STORED for entry in entries):
            raise CorruptModel("an entry is compressed")
        if len({entry.filename for entry in entries}) != len(entries):
            raise CorruptModel("two entries have the same name")
        if sum(entry.file_size for entry in entries) > len(content):
            raise CorruptModel("its entries are larger than the file")
        return {entry.filename: archive.read(entry) for entry in entries}


def _check_sample_inputs(content: bytes) -> None:
    """Check the example batch. Nothing here uses it, but MLflow's own reader unpickles it."""
    for name, record in _stored(content).items():
        if name.endswith("data.pkl"):
            imported = {arg for opcode, arg, _ in pickletools.genops(record) if opcode.name in _IMPORTS}
            if imported - _TENSOR_PARTS:
                raise CorruptModel(f"its sample inputs are pickled objects: {imported - _TENSOR_PARTS}")


def _json(content: bytes) -> Any:
    if len(content) > _JSON_BYTES:
        raise CorruptModel(f"a JSON entry has {len(content)} bytes, expected at most {_JSON_BYTES}")
    return json.loads(content)


def _weights(records: Mapping[str, bytes]) -> dict[str, torch.Tensor]:
    flat: dict[str, torch.Tensor] = {}
    weights = {}
    for name, entry in _json(records[_WEIGHTS_CONFIG])["config"].items():
        if entry["use_pickle"] is not False:
            raise CorruptModel(f"the weights {name!r} are pickled")
        path, meta = entry["path_name"], entry["tensor_meta"]
        if path not in flat:  # several names may share one storage
            flat[path] = torch.frombuffer(bytearray(records[_WEIGHTS + path]), dtype=_DTYPES[meta["dtype"]])
        sizes, strides = ([size["as_int"] for size in meta[key]] for key in ("sizes", "strides"))
        # Torch refuses sizes and strides that reach outside of the storage.
        weights[name] = flat[path].as_strided(sizes, strides, meta["storage_offset"]["as_int"])
    return weights
