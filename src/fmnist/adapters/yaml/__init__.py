"""Deployment files, in which a promotion writes the model that is to be served."""
