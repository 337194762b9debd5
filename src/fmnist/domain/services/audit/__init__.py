"""The audit of a data version."""
