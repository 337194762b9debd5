"""Input and result of a training run."""
