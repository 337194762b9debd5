"""Matplotlib: the figures of a report. It implements no port: the page that holds them asks for them."""
