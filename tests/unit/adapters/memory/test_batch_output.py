import pytest

from fmnist.adapters.memory.batch_output import MemoryBatchOutput
from fmnist.ports.batch_output import BatchOutput
from fmnist.testing.contracts.batch_output import BatchOutputContract


class TestMemoryBatchOutput(BatchOutputContract):
    @pytest.fixture
    def output(self) -> MemoryBatchOutput:
        return MemoryBatchOutput()

    def put(self, output: BatchOutput, name: str, content: bytes) -> None:
        output.write_files({name: content})

    def remove(self, output: BatchOutput, name: str) -> None:
        del as_memory(output).files[name]

    def names(self, output: BatchOutput) -> set[str]:
        return set(as_memory(output).files)


def as_memory(output: BatchOutput) -> MemoryBatchOutput:
    assert isinstance(output, MemoryBatchOutput)
    return output
