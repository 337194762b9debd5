"""Memory that one training step frees, kept for the next."""

import ctypes

# mallopt(3): from this size on a block is mapped by itself, and above this much free memory the heap shrinks.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_MOST_MAPPED, _NEVER = 2**30, 2**31 - 1


def keep_freed_memory() -> None:
    """Have glibc keep what this process frees, from now on; does nothing where the C library is another one.

    Left alone, it gives the tensors of every step back to the system, which then has to clear each of their pages anew.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_MMAP_THRESHOLD, _MOST_MAPPED)
        mallopt(_TRIM_THRESHOLD, _NEVER)
