"""Deployment files: what a promotion writes so that the new champion is served."""
