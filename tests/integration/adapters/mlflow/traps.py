"""Objects and archives that create a file when code in them runs."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

GRAPH = "model/models/model.json"
WEIGHTS = "model/data/weights/model_weights_config.json"
CONSTANTS = "model/data/constants/model_constants_config.json"
SAMPLE_INPUTS = "model/data/sample_inputs/model.pt"

Entries = dict[str, bytes]


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self._file, "unpickled")


def saved_by_torch(canary: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(Trap(canary), buffer)
    return buffer.getvalue()


def python(canary: Path) -> str:
    """An expression whose evaluation creates the file."""
    return f"__import__('pathlib').Path({str(canary)!r}).write_text('evaluated')"


def unpacked(file: Path) -> Entries:
    with zipfile.ZipFile(file) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def packed(entries: Mapping[str, bytes] | list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries.items() if isinstance(entries, Mapping) else entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def edited(entries: Entries, name: str, change: Callable[[Any], object]) -> None:
    """Change a JSON entry."""
    document = json.loads(entries[name])
    change(document)
    entries[name] = json.dumps(document).encode()


def pickled_weights(entries: Entries, canary: Path) -> None:
    entries["model/data/weights/weight_0"] = saved_by_torch(canary)
    edited(entries, WEIGHTS, lambda it: next(iter(it["config"].values())).update(use_pickle=True))


def pickled_sample_inputs(entries: Entries, canary: Path) -> None:
    entries[SAMPLE_INPUTS] = saved_by_torch(canary)


def pickle_before_the_sample_inputs(entries: Entries, canary: Path) -> None:
    """A zip may have other bytes before it. torch decides by the first bytes."""
    entries[SAMPLE_INPUTS] = pickle.dumps(Trap(canary), protocol=2) + entries[SAMPLE_INPUTS]


def pickled_constant(entries: Entries, canary: Path) -> None:
    _constant(entries, "tensor_0", saved_by_torch(canary))


def custom_object(entries: Entries, canary: Path) -> None:
    _constant(entries, "custom_obj_0", pickle.dumps(Trap(canary)))


def opaque_object(entries: Entries, canary: Path) -> None:
    _constant(entries, "opaque_obj_0", pickle.dumps(Trap(canary)))


def _constant(entries: Entries, path: str, content: bytes) -> None:
    entries[f"model/data/constants/{path}"] = content
    meta = {"path_name": path, "is_param": False, "use_pickle": True, "tensor_meta": None}
    edited(entries, CONSTANTS, lambda it: it["config"].update(trap=meta))


def legacy_weights(entries: Entries, canary: Path) -> None:
    entries["model/data/weights/model.pt"] = saved_by_torch(canary)


def legacy_constants(entries: Entries, canary: Path) -> None:
    entries["model/data/constants/model.pt"] = saved_by_torch(canary)


def compiled_library(entries: Entries, canary: Path) -> None:
    entries["model/data/aotinductor/model/model.so"] = b"\x7fELF" + str(canary).encode()


def python_file(entries: Entries, canary: Path) -> None:
    entries["model/extra/sitecustomize.py"] = python(canary).encode()


def entry_outside_of_the_archive(entries: Entries, canary: Path) -> None:
    entries[f"model/../../../../../../../..{canary}"] = b"escaped"


def guards(entries: Entries, canary: Path) -> None:
    edited(entries, GRAPH, lambda it: it.update(guards_code=[f"{python(canary)} == 9"]))


def function_of_torch(entries: Entries, canary: Path) -> None:
    _call(entries, "torch.os.system", {"as_string": f"touch {canary}"})


def operator_that_writes(entries: Entries, canary: Path) -> None:
    _call(entries, "torch.ops.aten.from_file.default", {"as_string": str(canary)})


def _call(entries: Entries, target: str, argument: dict[str, object]) -> None:
    node = {"target": target, "inputs": [{"name": "", "arg": argument, "kind": 1}], "outputs": [], "metadata": {}}
    edited(entries, GRAPH, lambda it: it["graph_module"]["graph"]["nodes"].insert(0, node))


def name_that_is_code(entries: Entries, canary: Path) -> None:
    """The name of a keyword argument becomes part of the code that torch.fx generates."""

    def change(document: Any) -> None:
        argument = document["graph_module"]["graph"]["nodes"][0]["inputs"][1]
        argument.update(name=f"weight=None if {python(canary)} else None, input", kind=2)

    edited(entries, GRAPH, change)


PT2_TRAPS: dict[str, Callable[[Entries, Path], None]] = {
    trap.__name__: trap
    for trap in (
        pickled_weights,
        pickled_sample_inputs,
        pickle_before_the_sample_inputs,
        pickled_constant,
        custom_object,
        opaque_object,
        legacy_weights,
        legacy_constants,
        compiled_library,
        python_file,
        entry_outside_of_the_archive,
        guards,
        function_of_torch,
        operator_that_writes,
        name_that_is_code,
    )
}


def symbolic_sizes(entries: Entries, canary: Path) -> None:
    """`torch.export.load` evaluates them."""
    document = entries[GRAPH].decode()
    entries[GRAPH] = document.replace('"expr_str": "Symbol(', f'"expr_str": "{python(canary)} or Symbol(').encode()


def names_of_values(entries: Entries, canary: Path) -> None:
    entries[GRAPH] = entries[GRAPH].replace(b'"conv2d"', json.dumps(f"x = {python(canary)} #").encode())
