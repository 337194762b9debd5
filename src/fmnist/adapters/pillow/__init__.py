"""Pillow: reads and writes picture files. It implements no port; the command line and the HTTP adapters use it."""
