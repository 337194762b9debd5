"""Matplotlib: the figures of a report. It implements no port; the report page calls it."""
