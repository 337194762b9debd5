"""An ONNX model as a `Classifier` on the CPU. It imports neither torch nor MLflow, so that serving needs neither."""

import os
import threading

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from fmnist.domain.model.data.images import SIDE
from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.model import ModelInfo, no_answer
from fmnist.ports.model_store import Classifier

# Names of the graph's input and output, which `export` writes.
INPUT, OUTPUT = "images", "logits"

_RUN_ERRORS = (native.Fail, native.InvalidArgument, native.RuntimeException, ValueError)
_ERRORS_ONLY = 3
_NO_FOLDER = os.devnull


class OnnxClassifier(Classifier):
    """Runs an ONNX model on `threads` threads (0 means all cores). Many threads may call it. It answers one at a time.

    Raises:
        CorruptModel: the bytes are not an ONNX model, or it has other inputs and outputs. `logits` raises it too, if
            the model does not accept this number of images.
    """

    def __init__(self, model: bytes, info: ModelInfo, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ERRORS_ONLY
        # A model may name weight files, which ONNX Runtime would read from the working directory.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_FOLDER)
        try:
            # No fallback: it would only try the same again, and print.
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            _check(self._session.get_inputs(), INPUT, [1, SIDE, SIDE])
            _check(self._session.get_outputs(), OUTPUT, [len(info.class_names)])
        except CorruptModel:
            raise
        except Exception as error:
            # On untrusted bytes, it raises its own errors, and those of protobuf and UTF-8.
            raise CorruptModel(f"ONNX Runtime {onnxruntime.__version__} cannot load the model: {error}") from error
        self._info = info
        # Calls at the same time would take more cores than `threads`.
        self._turn = threading.Lock()

    @property
    def info(self) -> ModelInfo:
        return self._info

    def logits(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        try:
            with self._turn:
                outputs: list[npt.NDArray[np.float32]] = self._session.run([OUTPUT], {INPUT: inputs})
        except _RUN_ERRORS as error:
            raise no_answer(len(inputs), error) from error
        return outputs[0]


def _check(arguments: list[onnxruntime.NodeArg], name: str, shape: list[int]) -> None:
    found = [(each.name, each.type, each.shape[1:]) for each in arguments]
    if found != [(name, "tensor(float)", shape)]:
        raise CorruptModel(f"the ONNX model must have {name!r} float32 (n, {shape}), found {found}")
