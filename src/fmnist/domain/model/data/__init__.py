"""What a model learns from: images, their versions and their normalization."""
