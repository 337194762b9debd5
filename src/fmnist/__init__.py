"""Fashion-MNIST classification as a library. Importing it costs numpy's import and no more.

`load_classifier("models:/prod.fashion-mnist-classifier@champion")` is where another service starts.
"""
