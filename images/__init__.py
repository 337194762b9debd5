"""What the Dockerfile's stages run, as scripts, so that tests run the same without an image.

It knows nothing of `fmnist` but the dependency lists of its pyproject.toml.
"""
