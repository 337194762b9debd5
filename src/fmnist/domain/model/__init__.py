"""Frozen values and the rules on them. They know no port, no vendor and no process.

A folder stands for a use case: `data`, `training`, `evaluation`, `promotion`. What all need stands beside them.
"""
