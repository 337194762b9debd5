"""Measures registered models."""
