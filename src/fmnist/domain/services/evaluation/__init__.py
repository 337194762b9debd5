"""A registered model, measured."""
