"""Lightning: how a network is trained, in one process or as one of several, and in-process `Compute`."""
