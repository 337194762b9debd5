"""Training data: images, data versions and normalization."""
