"""The platform's services on one machine, for `make stack` and for integration tests.

The services know nothing of `fmnist`, and listen on the loopback interface only.
"""
