"""Answers any number of images with a registered model."""
