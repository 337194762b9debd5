"""PyTorch: the networks, their weights, and a `Classifier` that runs them."""
