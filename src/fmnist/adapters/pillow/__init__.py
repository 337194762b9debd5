"""Pillow: picture files as images. It implements no port: the command line reads what a person hands it."""
