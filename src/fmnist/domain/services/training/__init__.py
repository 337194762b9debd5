"""A training run, from data to a registered model."""
