"""PyTorch: the networks, and weights as a `Classifier`."""
