"""Frozen values and the rules on them. They know no port, no vendor and no process."""
