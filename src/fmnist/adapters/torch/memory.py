"""Keeps the memory that one training step frees, for the next step."""

import ctypes

# mallopt(3): the block size from which malloc uses mmap, and the free memory above which the heap shrinks.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_MOST_MAPPED, _NEVER = 2**30, 2**31 - 1


def keep_freed_memory() -> None:
    """Make glibc keep memory that this process frees, from now on. With another C library, it does nothing.

    By default, glibc returns each step's tensors to the system, which then has to clear their pages again.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_MMAP_THRESHOLD, _MOST_MAPPED)
        mallopt(_TRIM_THRESHOLD, _NEVER)
