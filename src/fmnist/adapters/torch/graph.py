"""Builds a network from a `pt2` archive. Its graph may use only the operators listed below, which only compute.

No text of the archive may get into the code that torch.fx generates: no names, and no values except numbers.
"""

import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from fmnist.adapters.torch.archive import ExportArchive
from fmnist.domain.model.errors import CorruptModel

_aten = torch.ops.aten
_POSITIONAL = 1
_TRAINING = 5  # the position of the argument `training` of `batch_norm`
_MOST_NODES = 5000  # fmnist's largest network has a few hundred

# The operators of the networks in `networks`, by their names in an archive. Add an operator for a new kind of layer.
_OPERATORS: Mapping[str, Any] = {
    "torch.ops.aten.adaptive_avg_pool2d.default": _aten.adaptive_avg_pool2d.default,
    "torch.ops.aten.adaptive_max_pool2d.default": _aten.adaptive_max_pool2d.default,
    "torch.ops.aten.add.Tensor": _aten.add.Tensor,
    "torch.ops.aten.batch_norm.default": _aten.batch_norm.default,
    "torch.ops.aten.conv2d.default": _aten.conv2d.default,
    "torch.ops.aten.div.Tensor": _aten.div.Tensor,
    "torch.ops.aten.flatten.using_ints": _aten.flatten.using_ints,
    "torch.ops.aten.linear.default": _aten.linear.default,
    "torch.ops.aten.max_pool2d.default": _aten.max_pool2d.default,
    # Not the in-place version: a graph could apply it to the caller's images, or to a weight.
    "torch.ops.aten.relu_.default": _aten.relu.default,
}


def read_network(content: bytes) -> fx.GraphModule:
    """Return the network of a `.pt2` file's bytes on the CPU, in evaluation mode.

    Raises:
        CorruptModel: it is damaged, contains code, or uses an operator that fmnist's networks do not use.
    """
    try:
        return _build(ExportArchive.read(content)).eval()
    except CorruptModel as error:
        raise CorruptModel(f"model.pt2 is refused: {error}") from error
    except Exception as error:
        raise CorruptModel(f"model.pt2 is damaged: {error!r}") from error


def _build(archive: ExportArchive) -> fx.GraphModule:
    graph, weights = fx.Graph(), {}
    values: dict[str, fx.Node] = {}
    signature = archive.graph["signature"]
    for number, spec in enumerate(signature["input_specs"]):
        match spec:
            case {"user_input": {"arg": {"as_tensor": {"name": name}}}}:
                values[name] = graph.placeholder("images")
            case {"parameter": {"arg": {"name": name}, "parameter_name": weight}} | {
                "buffer": {"arg": {"name": name}, "buffer_name": weight}
            }:
                weights[f"weight_{number}"] = archive.weights[weight]
                values[name] = graph.get_attr(f"weight_{number}")
            case _:
                raise CorruptModel(f"its input {str(spec)[:200]} is not images and not a weight")
    nodes = archive.graph["graph"]["nodes"]
    if len(nodes) > _MOST_NODES:
        raise CorruptModel(f"its graph has {len(nodes)} nodes, expected at most {_MOST_NODES}")
    for node in nodes:
        _add(graph, node, values)
    (output,) = signature["output_specs"]
    graph.output(values[output["user_output"]["arg"]["as_tensor"]["name"]])
    return fx.GraphModule(weights, graph)


def _add(graph: fx.Graph, node: Mapping[str, Any], values: dict[str, fx.Node]) -> None:
    target = node["target"]
    if target not in _OPERATORS:
        raise CorruptModel(f"its graph calls {str(target)[:200]!r}, which no network of fmnist uses")
    if any(each["kind"] != _POSITIONAL for each in node["inputs"]):
        raise CorruptModel(f"its graph calls {target} with a keyword argument, expected only positional ones")
    arguments = tuple(_value(each["arg"], values) for each in node["inputs"])
    if _OPERATORS[target] is _aten.batch_norm.default and arguments[_TRAINING] is not False:
        raise CorruptModel("its batch normalization is in training mode: each prediction would change the next")
    result = graph.call_function(_OPERATORS[target], arguments)
    outputs = [each["as_tensor"]["name"] for each in node["outputs"]]
    if len(outputs) == 1:
        values[outputs[0]] = result
    else:
        for index, name in enumerate(outputs):
            values[name] = graph.call_function(operator.getitem, (result, index))


def _value(argument: Mapping[str, Any], values: Mapping[str, fx.Node]) -> Any:
    match argument:
        case {"as_tensor": {"name": name}}:
            return values[name]
        case {"as_none": True}:
            return None
        case {"as_int": int(value)} | {"as_float": float(value)} | {"as_bool": bool(value)}:
            return value
        case {"as_ints": list(numbers)} if all(type(each) is int for each in numbers):
            return numbers
        case _:
            raise CorruptModel(f"its graph has the argument {str(argument)[:200]}, expected a tensor or a number")
