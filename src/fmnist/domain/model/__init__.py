"""Frozen values and the rules on them. They depend on no port, vendor or process.

Each folder belongs to a use case: `data`, `training`, `evaluation`, `promotion`. Shared modules are beside them.
"""
