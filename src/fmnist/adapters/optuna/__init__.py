"""Optuna: the search of `fmnist tune`. It provides the `Study`."""
