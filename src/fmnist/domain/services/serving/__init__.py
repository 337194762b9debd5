"""Serves a model, and replaces it without a break."""
