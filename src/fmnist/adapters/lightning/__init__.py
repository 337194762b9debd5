"""Lightning: trains a network, in one process or in one of several workers, and provides the in-process `Compute`."""
