"""The platform's services on one machine: what `make stack` runs, and what integration tests start for themselves.

It knows nothing of `fmnist`. Everything listens on the loopback interface alone.
"""
