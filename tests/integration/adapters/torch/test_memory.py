import subprocess
import sys

import pytest

# In a separate process, because it changes the process permanently.
PROGRAM = """
import resource
import torch
from fmnist.adapters.torch.memory import keep_freed_memory
if {keep}:
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for step in range(12):
    if step == 2:
        before = faults()
    blocks = [torch.ones(6_000_000) for _ in range(3)]
    del blocks
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it configures glibc")
def test_memory_that_a_step_freed_is_kept_for_the_next() -> None:
    def faults(*, keep: bool) -> int:
        command = [sys.executable, "-c", PROGRAM.format(keep=keep)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    # A small object above the blocks keeps their memory too, and the kernel may reclaim pages: both by chance.
    kept = min(faults(keep=True) for _ in range(3))
    given_back = max(faults(keep=False) for _ in range(3))
    assert kept < given_back / 2
