"""Promotes a model to champion, and rolls it back."""
